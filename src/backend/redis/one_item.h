#pragma once

#include "keyspace/records.h"

namespace larder::redis {

/// Lets the handler of a read that names one key run on what L1 knows of that key.
class OneItem final : public Records {
 public:
  /// Nothing: the key is known not to exist.
  explicit OneItem(const std::optional<Item>& item) noexcept : item_(item) {}

  std::optional<Item> find(const KeyRef&) override { return item_; }

  // Reads change nothing and do not ask for what only the store itself knows.
  void put(const KeyRef&, ByteView, UnixMs) override {}
  std::span<char> edit(const KeyRef&, std::size_t) override { return {}; }
  void set_expiry(const KeyRef&, UnixMs) override {}
  bool erase(const KeyRef&) override { return false; }
  TagSet tags(const KeyRef&) override { return {}; }
  void set_tags(const KeyRef&, const TagSet&) override {}
  void carry_tags(const KeyRef&, const KeyRef&) override {}
  std::size_t memory_usage(const KeyRef&) override { return 0; }
  int frequency(const KeyRef&) override { return 0; }

 private:
  const std::optional<Item> item_;
};

}  // namespace larder::redis
