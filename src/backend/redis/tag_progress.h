#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "value/tag.h"

namespace larder::redis {

/// How far a sweep is. Thread: written by its worker, read by any.
struct TagProgress {
  const char* doing = "drop";  ///< guarded by the list it is in
  TagQuery query;
  int db = 0;
  std::int64_t began_us = steady_now_us();
  std::atomic<std::int64_t> dropped{0};  ///< or counted
  std::atomic<std::int64_t> looked_at{0};
  std::atomic<std::int64_t> left{0};        ///< in the indexes under way, at most
  std::atomic<std::int64_t> slots_left{0};  ///< in a cluster: not begun
};

/// The tags of a query for a line of INFO or the log, in which a comma or an end of line would be taken for
/// more than a part of a tag.
[[nodiscard]] std::string in_line(const TagQuery& query);

/// The sweeps of more than one step. Thread: any.
class LongSweeps {
 public:
  /// Life: of the sweep until remove().
  void add(const TagProgress& sweep) {
    const std::lock_guard lock(mutex_);
    sweeps_.push_back(&sweep);
  }
  void remove(const TagProgress& sweep) {
    const std::lock_guard lock(mutex_);
    std::erase(sweeps_, &sweep);
  }

  /// It goes on with something else.
  void rename(TagProgress& sweep, const char* doing) {
    const std::lock_guard lock(mutex_);
    sweep.doing = doing;
  }

  /// The longest running first.
  template <class Visit>
  void for_each(Visit visit) const {
    const std::lock_guard lock(mutex_);
    for (const TagProgress* sweep : sweeps_) visit(*sweep);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<const TagProgress*> sweeps_;  // guarded by mutex_
};

}  // namespace larder::redis
