#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/backend.h"

namespace larder::redis {

/// Who waits for a reply.
struct Waiter {
  Caller* caller;
  Ticket ticket;
};

/// When and on whose word a read was sent: what its fill of L1 depends on.
struct FillTerms {
  UnixMs sent_ms;
  SourceId source;
  std::uint32_t generation;
};

/// PTTL's answers besides a time, as Redis gives them, and one of ours.
inline constexpr std::int64_t kTtlNone = -1;
inline constexpr std::int64_t kTtlAbsent = -2;
inline constexpr std::int64_t kTtlUnknown = -3;

/// One GET under way to Redis on behalf of L1, and everybody who waits for it.
struct Flight {
  Bytes key;
  std::uint64_t hash = 0;
  int db = 0;
  Epoch epoch = 0;
  FillTerms terms{};
  std::int64_t ttl_ms = kTtlUnknown;
  std::vector<Waiter> waiters;
};

/// One MGET under way, with a PTTL for each of its keys that L1 did not have.
struct ManyFlight {
  struct Part {
    std::size_t position;  ///< among MGET's keys
    std::size_t key_offset, key_size;
    Epoch epoch;
    std::int64_t ttl_ms;
  };
  Bytes keys;
  std::vector<Part> parts;
  std::size_t ttls_seen = 0;
  int db = 0;
  FillTerms terms{};

  void clear() noexcept {
    keys.clear();
    parts.clear();
    ttls_seen = 0;
  }
  void add(std::size_t position, ByteView key, Epoch epoch) {
    parts.push_back({position, keys.size(), key.size(), epoch, kTtlUnknown});
    keys.append(key);
  }
  void add_ttl(std::int64_t ttl_ms) noexcept { parts[ttls_seen++].ttl_ms = ttl_ms; }
  [[nodiscard]] ByteView key_of(const Part& part) const noexcept {
    return ByteView(keys).substr(part.key_offset, part.key_size);
  }
};

/// Objects that are used again, named by index: no allocation in steady state.
template <class T>
class Pool {
 public:
  [[nodiscard]] std::uint32_t take() {
    if (free_.empty()) {
      items_.emplace_back(std::make_unique<T>());
      return static_cast<std::uint32_t>(items_.size() - 1);
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }
  void give_back(std::uint32_t index) { free_.push_back(index); }
  [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return *items_[index]; }

 private:
  std::vector<std::unique_ptr<T>> items_;
  std::vector<std::uint32_t> free_;
};

/// Single-flight: at most one GET of a key is under way for a worker, as long as nobody wrote to the key.
///
/// Thread: one worker.
class Flights {
 public:
  /// The flight of `key` that was sent after the last write to it, or null.
  [[nodiscard]] Flight* find(const KeyRef& key, Epoch now) noexcept {
    const auto found = by_hash_.find(slot_of(key.db, key.hash));
    if (found == by_hash_.end()) return nullptr;
    Flight& flight = pool_[found->second];
    return flight.epoch == now && flight.db == key.db && flight.key == key.bytes ? &flight : nullptr;
  }

  /// A new flight, which later readers of the key may join.
  [[nodiscard]] std::uint32_t open(const KeyRef& key, Epoch epoch, const FillTerms& terms) {
    const std::uint32_t index = pool_.take();
    Flight& flight = pool_[index];
    flight.key = key.bytes;
    flight.hash = key.hash;
    flight.db = key.db;
    flight.epoch = epoch;
    flight.terms = terms;
    flight.ttl_ms = kTtlUnknown;
    flight.waiters.clear();
    by_hash_.insert_or_assign(slot_of(key.db, key.hash), index);
    return index;
  }

  [[nodiscard]] Flight& operator[](std::uint32_t index) noexcept { return pool_[index]; }

  /// Nobody may join it any more.
  void seal(std::uint32_t index) noexcept {
    const Flight& flight = pool_[index];
    const auto found = by_hash_.find(slot_of(flight.db, flight.hash));
    if (found != by_hash_.end() && found->second == index) by_hash_.erase(found);
  }

  void close(std::uint32_t index) {
    seal(index);
    if (pool_[index].key.capacity() > kKeptKey) Bytes().swap(pool_[index].key);
    pool_.give_back(index);
  }

 private:
  static constexpr std::size_t kKeptKey = 1024;

  [[nodiscard]] static std::uint64_t slot_of(int db, std::uint64_t hash) noexcept {
    return hash + static_cast<std::uint64_t>(db);
  }

  struct AsIs {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t slot) const noexcept { return slot; }
  };

  Pool<Flight> pool_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t, AsIs> by_hash_;
};

}  // namespace larder::redis
