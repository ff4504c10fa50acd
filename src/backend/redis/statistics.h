#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/counter.h"
#include "base/histogram.h"

namespace larder::redis {

/// What one worker's backend counts. Thread: written by its worker, read and reset by any.
struct Statistics {
  Histogram latency;
  Counter reconnects, pushes, fills, joined, timeouts;
  std::atomic<std::int64_t> in_flight{0}, orphans{0};
  std::atomic<int> lanes_ready{0};

  void reset() noexcept {
    latency.reset();
    for (Counter* counter : {&reconnects, &pushes, &fills, &joined, &timeouts}) counter->reset();
  }
};

/// How the upstream is, in words; shared by all workers.
class Health {
 public:
  /// Both tell whether that is news: it is logged once, whichever of many connections notices first.
  bool set_problem(std::string text) { return set(problem_, std::move(text)); }
  bool set_tracking(std::string text) { return set(tracking_, std::move(text)); }
  [[nodiscard]] std::string problem() const { return get(problem_); }
  [[nodiscard]] std::string tracking() const { return get(tracking_); }

 private:
  bool set(std::string& field, std::string text) {
    const std::lock_guard lock(mutex_);
    if (field == text) return false;
    field = std::move(text);
    return true;
  }
  [[nodiscard]] std::string get(const std::string& field) const {
    const std::lock_guard lock(mutex_);
    return field;
  }

  mutable std::mutex mutex_;
  std::string problem_;   ///< why there is no connection; empty when there is one
  std::string tracking_;  ///< "yes", or "no: why"
};

}  // namespace larder::redis
