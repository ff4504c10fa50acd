#pragma once

#include "backend/redis/flights.h"
#include "backend/redis/lane.h"

namespace larder::redis {

/// See Caller::is_heard_of. Who hears of everything does so wherever it reads, but where a slot is about to
/// be.
[[nodiscard]] inline bool is_heard_of(const Caller& caller, const Reply& reply) noexcept {
  return reply.tracked || (caller.principal->tracks == Caller::Tracks::everything && !reply.is_asked);
}

/// Hands the upstream's reply to the client that waits for it, in the protocol it spoke when it asked.
void answer(const InFlight& entry, const Reply& reply);

/// The same with an error of ours; `upstream_us` is how long Redis had the request.
void answer_error(const Waiter& waiter, ByteView error, std::int64_t upstream_us = 0);

}  // namespace larder::redis
