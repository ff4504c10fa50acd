#pragma once

#include <map>
#include <utility>

#include "keyspace/records.h"

namespace larder {

/// Records in a std::map: what handlers are tested on. `now_ms` is what decides which are alive.
class MapRecords final : public Records {
 public:
  UnixMs now_ms = 0;

  std::optional<Item> find(const KeyRef& key) override {
    const auto found = entries_.find(id_of(key));
    if (found == entries_.end()) return std::nullopt;
    const Entry& entry = found->second;
    if (entry.expire_at != kNoExpiry && entry.expire_at <= now_ms) return std::nullopt;
    return Item{entry.value, entry.expire_at, entry.type};
  }

  void put(const KeyRef& key, ByteView value, UnixMs expire_at) override {
    const TagSet kept = tags(key);
    entries_[id_of(key)] = {Bytes(value), expire_at, Type::string, kept};
  }

  std::span<char> edit(const KeyRef& key, std::size_t size) override {
    if (!find(key)) put(key, {}, kNoExpiry);
    Bytes& value = entries_[id_of(key)].value;
    value.resize(size);
    return value;
  }

  void set_expiry(const KeyRef& key, UnixMs expire_at) override {
    entries_.at(id_of(key)).expire_at = expire_at;
  }

  bool erase(const KeyRef& key) override {
    const bool existed = find(key).has_value();
    entries_.erase(id_of(key));
    return existed;
  }

  TagSet tags(const KeyRef& key) override { return find(key) ? entries_[id_of(key)].tags : TagSet(); }
  void set_tags(const KeyRef& key, const TagSet& tags) override {
    if (find(key)) entries_[id_of(key)].tags = tags;
  }
  void carry_tags(const KeyRef& from, const KeyRef& to) override { set_tags(to, tags(from)); }

  std::size_t memory_usage(const KeyRef& key) override {
    const std::optional<Item> item = find(key);
    return item ? sizeof(Entry) + key.bytes.size() + item->value.size() : 0;
  }

  int frequency(const KeyRef&) override { return 1; }

  /// Pretends that something else than a string lies under the key.
  void set_type(const KeyRef& key, Type type) { entries_.at(id_of(key)).type = type; }

 private:
  struct Entry {
    Bytes value;
    UnixMs expire_at = kNoExpiry;
    Type type = Type::string;
    TagSet tags;
  };
  using Id = std::pair<int, Bytes>;

  static Id id_of(const KeyRef& key) { return {key.db, Bytes(key.bytes)}; }

  std::map<Id, Entry> entries_;
};

}  // namespace larder
