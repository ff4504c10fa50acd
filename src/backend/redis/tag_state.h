#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include <boost/unordered/unordered_flat_set.hpp>

#include "backend/pending_invalidations.h"
#include "backend/redis/tag_directory.h"
#include "backend/redis/tag_progress.h"
#include "base/counter.h"
#include "base/random_name.h"

namespace larder::redis {

/// The members of the journal of invalidations (tag_journal.h) that this process has. Thread: any.
class JournalMembers {
 public:
  void add(ByteView member) {
    const std::lock_guard lock(mutex_);
    members_.emplace(member);
  }
  void remove(const Bytes& member) {
    const std::lock_guard lock(mutex_);
    members_.erase(member);
  }
  [[nodiscard]] bool contains(const Bytes& member) const {
    const std::lock_guard lock(mutex_);
    return members_.contains(member);
  }

 private:
  mutable std::mutex mutex_;
  boost::unordered_flat_set<Bytes> members_;  // guarded by mutex_
};

/// What all workers know of tags.
///
/// Thread: any.
struct TagState {
  explicit TagState(std::string names_begin) : prefix(std::move(names_begin)) {}

  const std::string prefix;  ///< of the names of all bookkeeping
  PendingInvalidations pending;
  TagDirectory directory;  ///< in a cluster
  LongSweeps long_sweeps;

  /// Begins the names of what this process enters in the journal.
  const std::string process = random_name();
  std::atomic<std::uint64_t> entered{0};
  JournalMembers in_journal;

  std::atomic<bool> scripts_refused{false};  ///< Redis lets Larder's own user not run them

  // Counted seldom.
  std::atomic<std::uint64_t> dropped{0};     ///< keys, by TAGINVALIDATE
  std::atomic<std::uint64_t> steps{0};       ///< of sweeps
  std::atomic<std::int64_t> running{0};      ///< sweeps
  std::atomic<std::uint64_t> taken_over{0};  ///< invalidations of other Larders, which had ended
  std::atomic<std::uint64_t> pruned{0};      ///< records of keys that were gone
  std::atomic<std::uint64_t> seen{0},
      orphans{0};  ///< records looked at lately, and those of them that were such

  /// By one thread. What was seen fades, the faster the less there is to see: in the end there are no
  /// orphans.
  void note_orphans(std::uint64_t looked_at, std::uint64_t gone) noexcept {
    constexpr std::uint64_t kRemembered = 10'000;
    const auto fade = [](std::uint64_t count) { return count - count / 8; };
    seen += looked_at;
    orphans += gone;
    if (looked_at > 0 && seen < kRemembered) return;
    orphans = looked_at == 0 && orphans < 8 ? 0 : fade(orphans);
    seen = fade(seen);
  }

  /// Whether the database has any bookkeeping, as far as is known: what costs something is done only then. It
  /// may be late by a second in a Larder that has not used tags itself.
  [[nodiscard]] bool in_use(int db) const noexcept {
    return uses_[place(db)].load(std::memory_order_relaxed) != kUnused;
  }
  void use(int db) noexcept {
    std::atomic<std::uint8_t>& use = uses_[place(db)];
    const std::uint8_t wanted = place(db) == static_cast<std::size_t>(db) ? kUsed : kUsedForGood;
    std::uint8_t seen = use.load(std::memory_order_relaxed);
    while (seen < wanted && !use.compare_exchange_weak(seen, wanted, std::memory_order_relaxed)) {
    }
  }

  /// Redis says that there is none. It is believed the third time in a row: by then nothing is under way any
  /// more for the sake of which use() was called before.
  void doubt_use(int db) noexcept {
    std::atomic<std::uint8_t>& use = uses_[place(db)];
    std::uint8_t seen = use.load(std::memory_order_relaxed);
    while (seen != kUnused && seen != kUsedForGood &&
           !use.compare_exchange_weak(seen, static_cast<std::uint8_t>(seen - 1), std::memory_order_relaxed)) {
    }
  }

 private:
  static constexpr std::size_t kPlaces = 64;
  static constexpr std::uint8_t kUnused = 0, kUsed = 3, kUsedForGood = 4;
  static constexpr std::size_t place(int db) noexcept { return static_cast<std::size_t>(db) % kPlaces; }

  std::array<std::atomic<std::uint8_t>, kPlaces> uses_{};  ///< databases that share a place share the answer
};

}  // namespace larder::redis
