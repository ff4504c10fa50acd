#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/function_ref.h"
#include "keyspace/records.h"
#include "keyspace/running_invalidations.h"
#include "keyspace/tracked_keys.h"

namespace larder {

class Record;
class Shard;
struct Answer;
struct Stamp;

enum class Eviction : std::uint8_t {
  s3fifo,
  lru,
  none,  ///< `noeviction`: writes are refused instead (the memory backend only)
};

/// Whose word an L1 entry rests on: a tracked connection or a database. Voiding a source voids all its
/// entries in O(1).
using SourceId = std::uint32_t;

/// Proof that nothing was written to a key (stripe) between the sending of a read and its answer.
using Epoch = std::uint64_t;

enum class Lookup : std::uint8_t {
  hit,     ///< the visitor saw the record
  absent,  ///< known not to exist
  miss,    ///< not known here
};

struct KeyspaceCounters {
  std::uint64_t hits = 0, misses = 0, fills = 0, refused_fills = 0, evictions = 0, invalidations = 0,
                expired = 0;
};

/// The typed, sharded, byte-budgeted, evicting table of records: the store of the memory backend, the L1 of
/// the others.
///
/// Invariant: the bytes of records and tables never exceed the budget by more than the value being written.
/// Thread:    any; a mutex per shard, all counters atomic.
class Keyspace {
 public:
  struct Options {
    std::uint64_t budget_bytes = 0;  ///< 0: holds nothing (an L1 that is turned off)
    Eviction eviction = Eviction::s3fifo;
    int databases = 16;
  };

  explicit Keyspace(const Options& options);
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  // --- as an L1 ---

  /// Shows a valid, live record to `visit` under the shard's lock: copy what you need, quickly. Counts hits
  /// and misses.
  ///
  /// A record of answers is shown as an item whose value is the answer to `question`; without that answer, or
  /// without a question, it is a miss.
  Lookup read(const KeyRef& key, UnixMs now_ms, FunctionRef<void(const Item&)> visit, ByteView question = {});

  /// As read(), but shows also a record that is void only because its source was lost (lose_source()). Counts
  /// nothing.
  Lookup read_stale(const KeyRef& key, UnixMs now_ms, FunctionRef<void(const Item&)> visit,
                    ByteView question = {});

  /// Whether read() would find something. Counts nothing and shows nothing.
  [[nodiscard]] bool knows(const KeyRef& key, UnixMs now_ms, ByteView question = {});

  /// The key's epoch: note it before a read is sent, hand it to fill().
  [[nodiscard]] Epoch epoch(std::uint64_t hash) const noexcept;

  /// Stores what a backend answered, unless the epoch moved, the source was voided since `noted` or it is too
  /// big for L1.
  bool fill(const KeyRef& key, ByteView value, UnixMs expire_at, Epoch noted, SourceId source,
            std::uint32_t source_generation);

  /// Stores what a backend answered to a read of the key that is no plain GET, beside the answers the key
  /// already has. The oldest ones go when they take too much.
  bool fill_answer(const KeyRef& key, const Answer& answer, UnixMs expire_at, Epoch noted, SourceId source,
                   std::uint32_t source_generation);

  /// Stores that the key does not exist; `expire_at` bounds how long that is believed.
  bool fill_absent(const KeyRef& key, UnixMs expire_at, Epoch noted, SourceId source,
                   std::uint32_t source_generation);

  /// Moves the key's epoch and drops its record in one database: it was changed, by a write through this
  /// Larder that is answered now or elsewhere. Those who track it are told, but for `author`. Returns the
  /// epoch it moved to: whoever moves it twice sees by the difference of 1 that nobody else did in between.
  Epoch void_key(const KeyRef& key, ReaderId author = 0);

  /// The same when a write was parsed: what it changes is told when it is answered.
  Epoch void_key_early(const KeyRef& key) noexcept;

  /// The same as void_key() in all databases: Redis' invalidation pushes do not say which.
  void void_key_everywhere(ByteView key);

  /// Voids everything in O(1) and moves all epochs; memory comes back as eviction passes by.
  void void_all();

  /// The same, and nobody is told: what has changed is told in another way, or when a write is answered.
  void void_all_early() noexcept;

  /// Registers a source of truth.
  [[nodiscard]] SourceId add_source();

  /// All entries of the source are void from now on; fills with the old generation are refused.
  void void_source(SourceId source);

  /// As void_source(), because nothing tells of changes any more. Until `stale_until` read_stale() still
  /// shows what is not voided in another way. Called again in the same outage: the first `stale_until` holds.
  void lose_source(SourceId source, UnixMs stale_until);

  /// The outage is over: what was lost is lost for good.
  void forget_stale(SourceId source) noexcept;

  /// The generation to pass to fill(); odd or even has no meaning, it only moves.
  [[nodiscard]] std::uint32_t source_generation(SourceId source) const noexcept;

  /// The clients that keep what they read: told by everything here that voids or changes records.
  [[nodiscard]] TrackedKeys& tracked() noexcept { return tracked_; }

  /// True when the L1 holds anything at all (budget > 0).
  [[nodiscard]] bool enabled() const noexcept { return budget_bytes_ > 0; }

  // --- as a store ---

  /// The shards of some keys, locked; what handlers of the memory backend work on.
  class Locked;

  [[nodiscard]] std::uint64_t size(int db) const noexcept;

  /// How many records of a database have an expiry.
  [[nodiscard]] std::uint64_t expiring(int db) const noexcept;
  void clear(int db);
  void clear_all();
  void swap(int db_a, int db_b);

  /// One step of a SCAN: visits about `count` live records from `cursor` on; every record that exists during
  /// the whole iteration is visited at least once. Returns the next cursor; 0 = the iteration is complete.
  /// Units: cursors are below 2^48 (JavaScript clients read them as doubles).
  std::uint64_t scan(int db, std::uint64_t cursor, std::size_t count, UnixMs now_ms,
                     FunctionRef<void(ByteView key, const Item&)> visit);

  /// How many live records the query means.
  [[nodiscard]] std::uint64_t count_tagged(int db, const TagQuery& query, UnixMs now_ms);

  /// One step of a walk over the live records that the query means, as scan().
  std::uint64_t scan_tagged(int db, const TagQuery& query, std::uint64_t cursor, std::size_t count,
                            UnixMs now_ms, FunctionRef<void(ByteView key)> visit);

  class Invalidation;

  /// All steps of an Invalidation at once; returns how many records were live.
  std::uint64_t invalidate(int db, const TagQuery& query, UnixMs now_ms);

  /// A live key picked at random (uniform over the hash space); false when the database is empty.
  bool random_key(int db, UnixMs now_ms, Bytes& key);

  // --- upkeep ---

  /// Frees expired (and, in an L1, void) records in a bounded number of slots; returns how many. Called by a
  /// timer.
  std::size_t sweep(std::size_t slots, UnixMs now_ms);

  /// True when `noeviction` is chosen and the budget is used up: writes that need memory answer -OOM.
  [[nodiscard]] bool out_of_memory() const noexcept;

  void set_budget(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t budget_bytes() const noexcept { return budget_bytes_; }
  void set_eviction(Eviction eviction);
  [[nodiscard]] Eviction eviction() const noexcept { return eviction_; }
  [[nodiscard]] std::uint64_t used_bytes() const noexcept {
    return total_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t entries() const noexcept;
  [[nodiscard]] KeyspaceCounters counters() const noexcept;
  void reset_counters() noexcept;

 private:
  static constexpr int kScanShift = 32;  // a cursor is shard number · 2^32 + hash in the shard

  [[nodiscard]] std::size_t shard_index(std::uint64_t hash) const noexcept;
  [[nodiscard]] Shard& shard_of(std::uint64_t hash) noexcept;
  [[nodiscard]] std::uint32_t hash_in(const KeyRef& key) const noexcept {
    return static_cast<std::uint32_t>((key.hash << shard_bits_) >> 32);
  }
  /// SWAPDB exchanges two entries of the map with all shards locked; reading it needs one lock.
  [[nodiscard]] int physical(int db) const noexcept { return physical_db_[static_cast<std::size_t>(db)]; }
  [[nodiscard]] int place_of(int db) const;
  [[nodiscard]] std::uint64_t share() const noexcept { return budget_bytes_ >> shard_bits_; }
  [[nodiscard]] std::vector<std::unique_lock<std::recursive_mutex>> lock_all() const;

  /// Which records a reader accepts.
  enum class Trust : std::uint8_t { current, stale_too };

  /// Whose word some records rest on.
  struct Source {
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uint32_t> stale_generation{0};  ///< of the records that were lost
    std::atomic<UnixMs> stale_until{0};              ///< 0: none were
  };

  bool fill_record(const KeyRef& key, const Item& item, Epoch noted, Stamp stamp);
  [[nodiscard]] bool may_fill(Epoch now, Epoch noted, Stamp stamp, std::size_t bytes) const noexcept;
  void put_filled(Shard& shard, const KeyRef& key, const Item& item, Stamp stamp);
  [[nodiscard]] UnixMs collect_answers(Shard& shard, const KeyRef& key, ByteView question, UnixMs expire_at,
                                       Bytes& kept) const;
  [[nodiscard]] std::optional<Item> shown(const Record& record, ByteView question, UnixMs now_ms,
                                          Trust trust) const noexcept;
  Epoch move_epoch(std::uint64_t hash) noexcept;
  void move_generation(SourceId source) noexcept;
  void erase_if_found(Shard& shard, int physical_db, const KeyRef& key) noexcept;
  [[nodiscard]] bool is_current(Stamp stamp) const noexcept;
  [[nodiscard]] bool is_stale(Stamp stamp, UnixMs now_ms) const noexcept;
  [[nodiscard]] bool is_trusted(Stamp stamp, UnixMs now_ms, Trust trust) const noexcept;
  [[nodiscard]] bool is_worthless(const Record& record, UnixMs now_ms) const noexcept;
  [[nodiscard]] bool is_void(const Record& record) const noexcept;
  std::size_t sweep_shard(Shard& shard, std::size_t& slots, UnixMs now_ms);
  [[nodiscard]] bool is_over_budget() const noexcept { return used_bytes() > budget_bytes(); }
  void enforce_budget(Shard& nearest) noexcept;

  const Options options_;
  std::atomic<std::uint64_t> budget_bytes_;
  std::atomic<Eviction> eviction_;
  const int shard_bits_;
  std::atomic<std::uint64_t> total_bytes_{0};
  TrackedKeys tracked_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<int> physical_db_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> stripes_;
  std::atomic<std::uint32_t> global_epoch_{0};
  std::unique_ptr<Source[]> sources_;
  std::mutex sources_mutex_;  ///< of changes to them; they are read without
  std::atomic<SourceId> source_count_{0};
  std::atomic<std::size_t> sweep_position_{0};
  std::atomic<std::size_t> evict_position_{0};
  RunningInvalidations invalidations_;
  std::jthread reaper_;
};

/// Frees every record that a query means and that was written before it began, in steps; what is written
/// meanwhile may be freed or not.
///
/// Thread: one at a time; others may do anything between two steps, and RENAME and COPY know of it.
class Keyspace::Invalidation {
 public:
  Invalidation(Keyspace& keyspace, int db, TagQuery query);

  /// Frees a thousand records or the rest; no lock is held for longer. True: none is left.
  [[nodiscard]] bool step(UnixMs now_ms);

  /// How many of those that are freed were not expired.
  [[nodiscard]] std::uint64_t live() const noexcept { return live_; }

 private:
  Keyspace& keyspace_;
  const TagQuery query_;
  const int place_;  ///< SWAPDB leaves records where they are
  const RunningInvalidations::Entry running_;
  std::size_t shard_ = 0;
  std::uint64_t live_ = 0;
};

/// Locks the shards of `keys`, in shard order, for as long as it lives.
///
/// After the handler has run, the destructor unlocks and evicts down to the budget.
class Keyspace::Locked final : public Records {
 public:
  /// Who tracks a key that changes is told, but for `author`.
  Locked(Keyspace& keyspace, std::span<const KeyRef> keys, UnixMs now_ms, ReaderId author = 0);

  /// Locks all shards: this thread may call the keyspace meanwhile.
  struct AllShards {};
  Locked(Keyspace& keyspace, UnixMs now_ms, AllShards, ReaderId author);
  ~Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  std::optional<Item> find(const KeyRef& key) override;
  void put(const KeyRef& key, ByteView value, UnixMs expire_at) override;
  std::span<char> edit(const KeyRef& key, std::size_t size) override;
  void set_expiry(const KeyRef& key, UnixMs expire_at) override;
  bool erase(const KeyRef& key) override;
  TagSet tags(const KeyRef& key) override;
  void set_tags(const KeyRef& key, const TagSet& tags) override;
  void carry_tags(const KeyRef& from, const KeyRef& to) override;
  std::size_t memory_usage(const KeyRef& key) override;
  int frequency(const KeyRef& key) override;

 private:
  [[nodiscard]] Shard& shard_of(const KeyRef& key) noexcept;
  [[nodiscard]] Record* record(const KeyRef& key);
  void tell(const KeyRef& key) { keyspace_.tracked_.changed(key.bytes, author_); }
  [[nodiscard]] static bool fits_in_place(const Record& old, bool expires, std::size_t value_size) noexcept;

  Keyspace& keyspace_;
  const UnixMs now_ms_;
  const ReaderId author_;
  Shard* single_ = nullptr;           ///< the usual case: one key
  std::vector<std::size_t> indexes_;  ///< several keys: shards, ascending, distinct
};

}  // namespace larder
