#pragma once

#include "backend/redis/flights.h"
#include "backend/redis/lane.h"

namespace larder::redis {

/// Hands the upstream's reply to the client that waits for it, in the protocol it spoke when it asked.
void answer(const InFlight& entry, const Reply& reply);

/// The same with an error of ours; `upstream_us` is how long Redis had the request.
void answer_error(const Waiter& waiter, ByteView error, std::int64_t upstream_us = 0);

}  // namespace larder::redis
