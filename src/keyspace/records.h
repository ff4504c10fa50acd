#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "value/tag.h"
#include "value/type.h"

namespace larder {

/// A key of one database, hashed once per request.
struct KeyRef {
  int db;
  ByteView bytes;
  std::uint64_t hash;

  KeyRef(int database, ByteView key) noexcept : KeyRef(database, key, hash_bytes(key)) {}

  /// With the hash that is known already.
  KeyRef(int database, ByteView key, std::uint64_t known_hash) noexcept
      : db(database), bytes(key), hash(known_hash) {}
};

/// What lies under a key.
///
/// Life: `value` dies with the next change of the same key, and with the Records it came from.
struct Item {
  ByteView value;
  UnixMs expire_at;  ///< kNoExpiry when it never expires
  Type type;
};

/// What a command handler sees of the keys it named, and all it sees: the locked shards of the keyspace
/// (memory), copies loaded from the database (postgres), or the L1 tier (reads only).
///
/// Shape:  only keys that the command's row declares may be used.
/// Thread: the one that runs the handler; the implementation holds the locks.
class Records {
 public:
  /// The live record, or nothing: an expired record is never seen.
  [[nodiscard]] virtual std::optional<Item> find(const KeyRef& key) = 0;

  /// Creates or replaces a string. `value` must not point into the record of the same key.
  virtual void put(const KeyRef& key, ByteView value, UnixMs expire_at) = 0;

  /// Makes the string exactly `size` bytes (created if absent, expiry kept), new bytes zero, and lends it for
  /// writing. Life: the span dies with the next change of any key.
  [[nodiscard]] virtual std::span<char> edit(const KeyRef& key, std::size_t size) = 0;

  /// Sets the expiry of an existing record; kNoExpiry removes it.
  virtual void set_expiry(const KeyRef& key, UnixMs expire_at) = 0;

  /// Removes the record; false when there was none (an expired one counts as none).
  virtual bool erase(const KeyRef& key) = 0;

  /// The tags of the live record; none when it is absent. put() and edit() of a live record keep them.
  [[nodiscard]] virtual TagSet tags(const KeyRef& key) = 0;

  /// Replaces the tags of the live record; of an absent one nothing.
  virtual void set_tags(const KeyRef& key, const TagSet& tags) = 0;

  /// `to`, which now has what was under `from`, gets the tags of `from` and no others. In a race with the
  /// invalidation of one of them `to` may be erased.
  virtual void carry_tags(const KeyRef& from, const KeyRef& to) = 0;

  /// Bytes that the record takes, allocator and table slot included; 0 when absent.
  [[nodiscard]] virtual std::size_t memory_usage(const KeyRef& key) = 0;

  /// How often it was hit lately (0 to 3), for OBJECT FREQ.
  [[nodiscard]] virtual int frequency(const KeyRef& key) = 0;

 protected:
  ~Records() = default;
};

}  // namespace larder
