#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace larder::redis {

/// When a worker asks about the topology of its cluster: one question at a time, at intervals with jitter;
/// sooner after a hint that it has changed, and often while something is wrong.
///
/// Units: microseconds of the steady clock. Thread: one worker.
class Refresher {
 public:
  static constexpr std::int64_t kUsualUs = 1'000'000;
  static constexpr std::int64_t kHintedUs = 100'000;
  static constexpr std::int64_t kTroubledUs = 40'000;
  static constexpr std::int64_t kPatienceUs = 1'000'000;  ///< then somebody else is asked

  explicit Refresher(std::uint32_t seed) : random_(seed) {}

  [[nodiscard]] bool is_due(std::int64_t now_us) const noexcept {
    return now_us >= (asking_ ? give_up_us_ : next_us_);
  }

  /// Returns the number of the question: the answer to an older one is still good, its silence means nothing.
  std::uint32_t begin(std::int64_t now_us) noexcept {
    asking_ = true;
    begun_us_ = now_us;
    give_up_us_ = now_us + kPatienceUs;
    return ++question_;
  }

  void answered(std::int64_t now_us) {
    asking_ = false;
    next_us_ = now_us + spread(kUsualUs);
  }

  /// The one who was asked is gone: the next one is asked soon.
  void failed(std::uint32_t question, std::int64_t now_us) {
    if (!asking_ || question != question_) return;
    asking_ = false;
    next_us_ = now_us + spread(kTroubledUs);
  }

  /// Something moved: others may have too.
  void hint() { sooner(kHintedUs); }

  /// Somebody cannot be served: the answer is wanted as soon as it changes.
  void hurry() { sooner(kTroubledUs); }

 private:
  [[nodiscard]] std::int64_t spread(std::int64_t interval_us) {
    return std::uniform_int_distribution<std::int64_t>(interval_us * 3 / 4, interval_us * 5 / 4)(random_);
  }

  /// No sooner than `interval_us` after the last question.
  void sooner(std::int64_t interval_us) { next_us_ = std::min(next_us_, begun_us_ + spread(interval_us)); }

  std::minstd_rand random_;
  bool asking_ = false;
  std::uint32_t question_ = 0;
  std::int64_t begun_us_ = 0;
  std::int64_t next_us_ = 0;
  std::int64_t give_up_us_ = 0;
};

}  // namespace larder::redis
