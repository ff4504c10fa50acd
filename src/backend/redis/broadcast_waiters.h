#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backend/redis/broadcast_watch.h"

namespace larder::redis {

/// A worker's clients that have asked for BCAST, until Larder hears of every change.
///
/// Thread: one worker; `broadcasts` is shared with the others.
class BroadcastWaiters {
 public:
  using Done = std::function<void(ByteView error)>;  ///< no error: all changes from now on are heard of

  BroadcastWaiters(const NodeContext& context, Broadcasts& broadcasts, const std::string& hidden);

  /// `done` is called once, perhaps at once.
  void add(Done done);

  void tick(std::int64_t now_us);

  /// None is served any more.
  void close(ByteView error);

 private:
  struct Waiter {
    Done done;
    std::int64_t deadline_us;
  };

  void end(ByteView error);

  const NodeContext& context_;
  Broadcasts& broadcasts_;
  std::vector<Waiter> waiters_;            ///< the oldest first
  std::unique_ptr<BroadcastWatch> watch_;  ///< of the first worker
  bool closed_ = false;
};

}  // namespace larder::redis
