#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backend/redis/slot_map.h"

namespace larder::redis {

/// Where the Sentinels say that the master is; one worker asks them, all follow.
///
/// Before a worker sends anything it looks whether `version` has moved: no worker goes on with a master that
/// another one has left.
///
/// Thread: any.
class MasterView {
 public:
  struct State {
    std::optional<Endpoint> master;
    std::vector<Endpoint> replicas{};  ///< that have all they need to be read from, if somebody wants to know
    std::string problem;               ///< while no master is known: why; empty while there is hope
  };

  /// Moves with every change of the state.
  [[nodiscard]] std::uint32_t version() const noexcept { return version_.load(std::memory_order_acquire); }

  [[nodiscard]] State state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  /// False when that is no news.
  bool set_master(const Endpoint& master) {
    const std::lock_guard lock(mutex_);
    if (state_.master == master) return false;
    if (state_.master) switches_.fetch_add(1, std::memory_order_relaxed);
    state_ = {.master = master, .problem = {}};
    version_.fetch_add(1, std::memory_order_release);
    return true;
  }

  /// The replicas of the master that was set last.
  bool set_replicas(const std::vector<Endpoint>& replicas) {
    const std::lock_guard lock(mutex_);
    if (state_.replicas == replicas) return false;
    state_.replicas = replicas;
    version_.fetch_add(1, std::memory_order_release);
    return true;
  }

  /// The same for the reason why no master is known, which counts for as long as none is.
  bool set_problem(const std::string& problem) {
    const std::lock_guard lock(mutex_);
    if (state_.master || state_.problem == problem) return false;
    state_.problem = problem;
    version_.fetch_add(1, std::memory_order_release);
    return true;
  }

  /// Somebody cannot be served: the Sentinels shall be asked soon.
  void want_news() noexcept { wanted_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool take_wish() noexcept { return wanted_.exchange(false, std::memory_order_relaxed); }

  void set_connected(int sentinels) noexcept { connected_.store(sentinels, std::memory_order_relaxed); }
  [[nodiscard]] int connected() const noexcept { return connected_.load(std::memory_order_relaxed); }
  [[nodiscard]] int switches() const noexcept { return switches_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  State state_;
  std::atomic<std::uint32_t> version_{0};
  std::atomic<bool> wanted_{false};
  std::atomic<int> connected_{0}, switches_{0};
};

}  // namespace larder::redis
