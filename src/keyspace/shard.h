#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/counter.h"
#include "keyspace/ghost.h"
#include "keyspace/keyspace.h"
#include "keyspace/record.h"
#include "keyspace/record_queue.h"
#include "keyspace/record_table.h"
#include "keyspace/tag_index.h"
#include "keyspace/tracked_keys.h"

namespace larder {

/// The 32 bits of a hash that order records inside a shard: those below the ones that chose it.
[[nodiscard]] constexpr std::uint32_t hash_in_shard(std::uint64_t hash, int shard_bits) noexcept {
  return static_cast<std::uint32_t>((hash << shard_bits) >> 32);
}

/// Tables and queues taken out of a shard, to be freed without its lock.
struct Detached {
  std::vector<Record*> tails;  ///< ends of queues; the rest hangs on their links
  std::vector<TagIndex> tags;
};

/// One slice of the keyspace by hash: a table per database, the eviction queues over all of them, and their
/// bytes.
///
/// Invariant: every record is in exactly one table and exactly one queue; used() is the sum of their
/// allocations and of the indexes. Thread:    every call but the counters needs `mutex` held.
class alignas(64) Shard {
 public:
  Shard(int databases, int shard_bits, std::atomic<std::uint64_t>& total_bytes, TrackedKeys& tracked);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// Whoever holds all shards may call what locks one (Keyspace::Locked).
  std::recursive_mutex mutex;

  [[nodiscard]] Record* find(int db, std::uint32_t hash, ByteView key) const noexcept;

  /// Makes a record of the given layout, replacing the key's old one; the value's bytes are left to the
  /// caller.
  Record& put(int db, std::uint32_t hash, ByteView key, Record::Layout layout, std::size_t value_size,
              Eviction eviction);

  /// Changes the size of a string in place or by moving it; returns where it is now.
  Record& resize(Record& record, std::uint32_t hash, std::size_t value_size);

  void erase(Record& record, std::uint32_t hash);

  /// Erases a record that no client asked to erase. In a store that is a change of the key, in an L1 it is
  /// not.
  void drop(Record& record, std::uint32_t hash);

  /// Replaces the tags of a record, which may move.
  void set_tags(Record& record, std::uint32_t hash, const TagSet& tags);

  /// Notes a hit: 2-bit counter, or the head of the queue for LRU.
  void touch(Record& record, Eviction eviction) noexcept;

  /// Frees one record by the policy; false when the shard is empty. `is_void` tells records that are worth
  /// nothing.
  bool evict(Eviction eviction, FunctionRef<bool(const Record&)> is_void);

  [[nodiscard]] RecordTable& table(int db) noexcept { return tables_[static_cast<std::size_t>(db)]; }
  [[nodiscard]] const TagIndex& tags(int db) const noexcept { return tags_[static_cast<std::size_t>(db)]; }
  /// Records with an expiry field.
  [[nodiscard]] std::size_t volatile_records() const noexcept {
    return std::accumulate(volatile_.begin(), volatile_.end(), std::size_t{0});
  }
  [[nodiscard]] std::size_t volatile_records(int db) const noexcept {
    return volatile_[static_cast<std::size_t>(db)];
  }

  /// The hash of a record's key, as its table knows it.
  [[nodiscard]] std::uint32_t hash_of(const Record& record) const noexcept {
    return hash_in_shard(hash_bytes(record.key()), shard_bits_);
  }

  /// Where the next sweep of a database goes on.
  [[nodiscard]] std::uint32_t& sweep_from(int db) noexcept {
    return sweep_from_[static_cast<std::size_t>(db)];
  }

  void clear(int db);
  [[nodiscard]] Detached detach_all();
  static void free_detached(Detached& detached) noexcept;

  /// Bytes of a record's allocation, the allocator's own header included.
  [[nodiscard]] static std::size_t bytes_of(const Record& record) noexcept;

  [[nodiscard]] std::uint64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_.load(std::memory_order_relaxed); }

  struct Counters {
    Counter hits, misses, fills, refused_fills, evictions, invalidations, expired;
  };
  Counters counters;

 private:
  [[nodiscard]] RecordQueue& queue_of(const Record& record) noexcept {
    return record.queue() == Record::Queue::main ? main_ : small_;
  }
  void account(std::int64_t bytes) noexcept;
  void replace(Record& old, Record& fresh, std::size_t slot);
  void untag(Record& record) noexcept;
  void enqueue(Record& record, std::uint32_t hash, Eviction eviction) noexcept;
  bool evict_from_small(FunctionRef<bool(const Record&)> is_void);
  bool evict_from_main(Eviction eviction, FunctionRef<bool(const Record&)> is_void);

  const int shard_bits_;
  std::vector<RecordTable> tables_;
  std::vector<TagIndex> tags_;  ///< by database
  std::vector<std::uint32_t> sweep_from_;
  RecordQueue small_;
  RecordQueue main_;
  Ghost ghost_;
  std::vector<std::size_t> volatile_;  ///< by database, records with an expiry field
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<std::uint64_t>& total_bytes_;
  TrackedKeys& tracked_;
};

}  // namespace larder
