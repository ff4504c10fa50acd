#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.h"
#include "gate/push_filter.h"
#include "io/stream.h"

namespace larder::gate {

/// One direction of a connection: what was read from one socket waits until it is due at the other.
///
/// Units: times are of the monotonic clock, µs.
class Relay {
 public:
  enum class State { open, ended };

  Relay(int from, int to, std::optional<PushFilter> filter)
      : from_(from), to_(to), filter_(std::move(filter)) {}

  /// Reads what is there; it is due `delay_us` from now.
  [[nodiscard]] State read(std::int64_t now_us, std::int64_t delay_us);

  /// Sends what is due and passes the end of the stream on.
  [[nodiscard]] State write(std::int64_t now_us);

  /// True when the target does not take more: write() again when it is writable.
  [[nodiscard]] bool is_stuck() const noexcept { return stuck_; }

  /// True when no more should be read for now.
  [[nodiscard]] bool is_full() const noexcept { return finished_ || waiting_bytes_ > kMostWaiting; }

 private:
  static constexpr std::size_t kMostWaiting = 4 * 1024 * 1024;

  struct Chunk {
    std::int64_t due_us;
    Bytes bytes;
  };

  const int from_, to_;
  std::optional<PushFilter> filter_;
  std::deque<Chunk> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::size_t sent_ = 0;   ///< of the first chunk
  bool finished_ = false;  ///< the source has sent all
  bool stuck_ = false;
};

}  // namespace larder::gate
