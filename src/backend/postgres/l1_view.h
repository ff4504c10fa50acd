#pragma once

#include <deque>

#include "keyspace/keyspace.h"

namespace larder::postgres {

/// PostgreSQL does not tell that a key has expired: those who have read it are told when its time has come.
inline void note_expiry(Keyspace& keyspace, const KeyRef& key, UnixMs expire_at) {
  if (expire_at != kNoExpiry && keyspace.tracked().any()) keyspace.tracked().expires(key.bytes, expire_at);
}

/// Lets a read-only handler run on the L1: if missed() is false afterwards, its reply is right.
class L1View final : public Records {
 public:
  L1View(Keyspace& keyspace, UnixMs now_ms) : keyspace_(keyspace), now_ms_(now_ms) {}

  [[nodiscard]] bool missed() const noexcept { return missed_; }

  std::optional<Item> find(const KeyRef& key) override;
  std::size_t memory_usage(const KeyRef& key) override;
  int frequency(const KeyRef&) override { return 0; }

  // A read-only command changes nothing; one that tries is run elsewhere.
  void put(const KeyRef&, ByteView, UnixMs) override { missed_ = true; }
  std::span<char> edit(const KeyRef&, std::size_t size) override;
  void set_expiry(const KeyRef&, UnixMs) override { missed_ = true; }
  bool erase(const KeyRef&) override;
  void set_tags(const KeyRef&, const TagSet&) override { missed_ = true; }
  void carry_tags(const KeyRef&, const KeyRef&) override { missed_ = true; }
  // The L1 knows no tags.
  TagSet tags(const KeyRef&) override;

 private:
  Keyspace& keyspace_;
  const UnixMs now_ms_;
  std::deque<Bytes> values_;  ///< copies: the L1 may drop a record at any time
  bool missed_ = false;
};

}  // namespace larder::postgres
