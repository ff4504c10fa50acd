#include "backend/redis/broadcast_waiters.h"

#include <utility>

#include <fmt/format.h>

#include "base/clock.h"

namespace larder::redis {

BroadcastWaiters::BroadcastWaiters(const NodeContext& context, Broadcasts& broadcasts,
                                   const std::string& hidden)
    : context_(context), broadcasts_(broadcasts) {
  if (context.worker == 0) watch_ = std::make_unique<BroadcastWatch>(context, broadcasts, hidden);
}

void BroadcastWaiters::add(Done done) {
  if (broadcasts_.flow()) return done({});
  const std::int64_t patience_us = std::chrono::microseconds(context_.options.command_timeout).count();
  waiters_.push_back({std::move(done), steady_now_us() + patience_us});
}

void BroadcastWaiters::tick(std::int64_t now_us) {
  if (closed_) return;
  if (watch_ != nullptr) watch_->tick(now_us);
  if (waiters_.empty()) return;
  if (broadcasts_.flow()) return end({});
  const Broadcasts::Obstacle obstacle = broadcasts_.obstacle();
  if (!obstacle.is_lasting && now_us < waiters_.front().deadline_us) return;
  const ByteView why =
      obstacle.text.empty() ? "not all masters are known or answer" : ByteView(obstacle.text);
  end(fmt::format("ERR BCAST is not possible now, as Larder does not hear of all changes: {}", why));
}

void BroadcastWaiters::end(ByteView error) {
  for (const Waiter& waiter : std::exchange(waiters_, {})) waiter.done(error);
}

void BroadcastWaiters::close(ByteView error) {
  closed_ = true;
  if (watch_ != nullptr) watch_->close();
  end(error);
}

}  // namespace larder::redis
