#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace larder::redis {

struct BreakerOptions {
  unsigned failures = 5;                      ///< in a row that open it; 0: it never opens
  std::chrono::milliseconds window{30'000};   ///< … within so long
  std::chrono::milliseconds pause{500};       ///< before the first probe; doubled after each that fails
  std::chrono::milliseconds patience{2'000};  ///< a probe not answered for so long has failed
};

/// Whether requests may go to a node. Several failures in a row open it: from then on there is one probe at
/// a time, with growing pauses, and its answer (or any other) closes it.
///
/// Units: microseconds of the steady clock. Thread: one worker.
class Breaker {
 public:
  enum class State : std::uint8_t {
    closed,     ///< requests may go
    open,       ///< none may, until the pause is over
    half_open,  ///< a probe is under way
  };

  static constexpr int kLongestPause = 4;  ///< times the first one

  /// `options` outlive it, and may change.
  explicit Breaker(const BreakerOptions& options) : options_(options) {}
  explicit Breaker(BreakerOptions&&) = delete;

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool is_closed() const noexcept { return state_ == State::closed; }

  /// How often it was closed and opened.
  [[nodiscard]] std::uint64_t openings() const noexcept { return openings_; }

  /// The node answered something. True when that closed it.
  bool succeeded() noexcept {
    if (failures_ == 0 && is_closed()) return false;
    failures_ = 0;
    return std::exchange(state_, State::closed) != State::closed;
  }

  /// A request was not answered in time, or a connection was lost or not made. True when that opened it.
  bool failed(std::int64_t now_us) noexcept {
    if (state_ == State::half_open)
      open(now_us, std::min(2 * pause_us_, kLongestPause * micros(options_.pause)));
    if (state_ == State::open || options_.failures == 0) return false;
    if (failures_ == 0 || now_us - first_failure_us_ > micros(options_.window)) {
      failures_ = 0;
      first_failure_us_ = now_us;
    }
    if (++failures_ < options_.failures) return false;
    open(now_us, micros(options_.pause));
    ++openings_;
    return true;
  }

  /// True when a probe is to be sent now.
  [[nodiscard]] bool wants_probe(std::int64_t now_us) noexcept {
    if (is_closed() || now_us < next_us_) return false;
    if (state_ == State::half_open) {
      failed(now_us);
      return false;
    }
    state_ = State::half_open;
    next_us_ = now_us + micros(options_.patience);
    return true;
  }

 private:
  [[nodiscard]] static std::int64_t micros(std::chrono::milliseconds time) noexcept {
    return std::chrono::microseconds(time).count();
  }

  void open(std::int64_t now_us, std::int64_t pause_us) noexcept {
    state_ = State::open;
    pause_us_ = pause_us;
    next_us_ = now_us + pause_us;
  }

  const BreakerOptions& options_;
  State state_ = State::closed;
  unsigned failures_ = 0;  ///< in a row
  std::int64_t first_failure_us_ = 0;
  std::int64_t pause_us_ = 0;
  std::int64_t next_us_ = 0;  ///< open: the next probe; half open: the end of patience with it
  std::uint64_t openings_ = 0;
};

}  // namespace larder::redis
