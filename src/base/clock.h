#pragma once

#include <cstdint>

namespace larder {

/// Milliseconds since the Unix epoch; what EXPIREAT and TTLs are measured in.
using UnixMs = std::int64_t;

/// Expiry of a record that has none.
inline constexpr UnixMs kNoExpiry = -1;

/// The one that comes first of two times of expiry.
[[nodiscard]] constexpr UnixMs sooner(UnixMs a, UnixMs b) noexcept {
  return a == kNoExpiry ? b : b == kNoExpiry ? a : a < b ? a : b;
}

/// Wall clock, milliseconds. May step when the machine's clock is set, as in Redis.
[[nodiscard]] UnixMs unix_now_ms() noexcept;

/// Wall clock, microseconds (TIME, SLOWLOG).
[[nodiscard]] std::int64_t unix_now_us() noexcept;

/// Monotonic clock, microseconds: for latencies and deadlines only.
[[nodiscard]] std::int64_t steady_now_us() noexcept;

}  // namespace larder
