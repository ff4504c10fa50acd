#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/backend.h"
#include "backend/redis/cached_read.h"

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

/// One GET, or another read of one key, under way to Redis on behalf of L1, and everybody who waits for it.
struct Flight {
  const CachedRead* read = nullptr;  ///< null: GET
  Bytes key;
  Bytes question;  ///< see append_question(); empty for GET
  std::uint64_t hash = 0;
  std::uint64_t slot = 0;  ///< in Flights
  int db = 0;
  Epoch epoch = 0;
  FillTerms terms{};
  std::int64_t ttl_ms = kTtlUnknown;
  Protocol protocol = Protocol::resp2;  ///< with a question: what all who wait speak
  bool has_handler = false;             ///< its reply can be told from the value
  std::vector<Waiter> waiters;

  [[nodiscard]] KeyRef key_ref() const noexcept { return {db, key, hash}; }
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

  /// Shows all, those that were given back too.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& item : items_) visit(*item);
  }

 private:
  std::vector<std::unique_ptr<T>> items_;
  std::vector<std::uint32_t> free_;
};

/// Single-flight: a read of a key is under way once for a worker, as long as nobody wrote to the key.
///
/// Thread: one worker.
class Flights {
 public:
  /// The flight of a read of `key` that was sent after the last write to it, or null. No question: GET.
  [[nodiscard]] Flight* find(const KeyRef& key, ByteView question, Epoch now) noexcept {
    const auto found = by_slot_.find(slot_of(key, question));
    if (found == by_slot_.end()) return nullptr;
    Flight& flight = pool_[found->second];
    const bool is_same = flight.db == key.db && flight.key == key.bytes && flight.question == question;
    return is_same && flight.epoch == now ? &flight : nullptr;
  }

  /// A new flight, which later readers of the key may join.
  [[nodiscard]] std::uint32_t open(const KeyRef& key, const CachedRead* read, ByteView question, Epoch epoch,
                                   const FillTerms& terms) {
    const std::uint32_t index = pool_.take();
    Flight& flight = pool_[index];
    flight.read = read;
    flight.key = key.bytes;
    flight.question = question;
    flight.hash = key.hash;
    flight.slot = slot_of(key, question);
    flight.db = key.db;
    flight.epoch = epoch;
    flight.terms = terms;
    flight.ttl_ms = kTtlUnknown;
    flight.waiters.clear();
    by_slot_.insert_or_assign(flight.slot, index);
    return index;
  }

  [[nodiscard]] Flight& operator[](std::uint32_t index) noexcept { return pool_[index]; }

  /// Nobody may join it any more.
  void seal(std::uint32_t index) noexcept {
    const auto found = by_slot_.find(pool_[index].slot);
    if (found != by_slot_.end() && found->second == index) by_slot_.erase(found);
  }

  void close(std::uint32_t index) {
    seal(index);
    for (Bytes* text : {&pool_[index].key, &pool_[index].question})
      if (text->capacity() > kKeptText) Bytes().swap(*text);
    pool_.give_back(index);
  }

 private:
  static constexpr std::size_t kKeptText = 1024;

  [[nodiscard]] static std::uint64_t slot_of(const KeyRef& key, ByteView question) noexcept {
    return key.hash + static_cast<std::uint64_t>(key.db) + (question.empty() ? 0 : hash_bytes(question));
  }

  struct AsIs {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t slot) const noexcept { return slot; }
  };

  Pool<Flight> pool_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t, AsIs> by_slot_;
};

}  // namespace larder::redis
