#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder::redis {

/// The question that also serves as a tracked connection's ping.
///
/// SWAPDB changes every key of two databases, and Redis 7.0 tells tracking clients nothing of it (measured;
/// FLUSHDB it does tell). So its call counter is read once per redis.ping_interval: when it has moved, L1 is
/// void.
inline constexpr ByteView kAskStatistics = "*2\r\n$4\r\nINFO\r\n$12\r\ncommandstats\r\n";

/// How often SWAPDB has run, by a reply to that question; 0 when it does not say.
[[nodiscard]] std::int64_t swapdb_calls(ByteView reply) noexcept;

}  // namespace larder::redis
