#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "config/redis_address.h"

namespace larder::redis {

/// Whether Larder hears of every change of every key (CLIENT TRACKING BCAST): the workers say which masters
/// they read from, and the one that listens says when it hears all of these.
///
/// Invariant: before a worker reads from a master that it has not read from, flow() is false, unless that
/// master is heard too. Thread: any.
class Broadcasts {
 public:
  using Masters = std::vector<config::RedisAddress>;

  /// What a worker reads from, from now on.
  void set_masters(std::size_t worker, Masters masters) {
    const std::lock_guard lock(mutex_);
    const Masters before = all();
    by_worker_[worker] = std::move(masters);
    if (all() != before) version_.fetch_add(1);
  }

  /// Moves with every change of masters().
  [[nodiscard]] std::uint32_t version() const noexcept { return version_.load(); }

  /// Those that any worker reads from.
  [[nodiscard]] Masters masters() const {
    const std::lock_guard lock(mutex_);
    return all();
  }

  /// All masters of that version are heard.
  void start(std::uint32_t version, std::int64_t now_us) noexcept {
    since_us_.store(now_us);
    heard_version_.store(version);
  }
  void stop() noexcept { heard_version_.store(0); }

  /// Every change that happens from now on will be heard of, or told to be missed.
  [[nodiscard]] bool flow() const noexcept { return heard_version_.load() == version_.load(); }

  /// What has changed before that, nobody has broadcast.
  [[nodiscard]] std::int64_t since_us() const noexcept { return since_us_.load(); }

  /// Why not: of the last attempt.
  struct Obstacle {
    std::string text;         ///< empty: it takes its time
    bool is_lasting = false;  ///< it is no use to wait

    bool operator==(const Obstacle&) const = default;
  };
  void set_obstacle(Obstacle obstacle) {
    const std::lock_guard lock(mutex_);
    obstacle_ = std::move(obstacle);
  }
  [[nodiscard]] Obstacle obstacle() const {
    const std::lock_guard lock(mutex_);
    return obstacle_;
  }

 private:
  [[nodiscard]] Masters all() const {
    Masters all;
    for (const auto& [worker, masters] : by_worker_)
      for (const config::RedisAddress& master : masters)
        if (std::ranges::find(all, master) == all.end()) all.push_back(master);
    std::ranges::sort(all, {}, [](const auto& at) { return std::tie(at.host, at.path, at.port); });
    return all;
  }

  mutable std::mutex mutex_;
  std::map<std::size_t, Masters> by_worker_;  // guarded by mutex_
  Obstacle obstacle_;                         // guarded by mutex_
  std::atomic<std::uint32_t> version_{1};
  std::atomic<std::uint32_t> heard_version_{0};  ///< 0: not all are heard
  std::atomic<std::int64_t> since_us_{INT64_MAX};
};

}  // namespace larder::redis
