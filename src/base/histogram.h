#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace larder {

/// Where a latency is counted: buckets that are exact below 8 µs and at most an eighth of their value wide
/// above, up to 67 s (all beyond share the last bucket).
namespace histogram_buckets {

inline constexpr int kSubBits = 3;
inline constexpr std::size_t kPerOctave = std::size_t{1} << kSubBits;
inline constexpr int kTopBit = 26;
inline constexpr std::size_t kCount = kPerOctave * (kTopBit - kSubBits + 1);

/// The bucket of a value. Units: µs.
[[nodiscard]] std::size_t index_of(std::uint64_t us) noexcept;

/// The largest value that the bucket counts. Units: µs.
[[nodiscard]] std::uint64_t upper_bound(std::size_t index) noexcept;

}  // namespace histogram_buckets

/// A histogram at rest: what a Histogram held at one moment, or the sum of several.
struct HistogramSnapshot {
  std::array<std::uint64_t, histogram_buckets::kCount> buckets{};
  std::uint64_t max_us = 0;

  [[nodiscard]] std::uint64_t count() const noexcept;

  /// How many values were at most `us`, to the width of a bucket.
  [[nodiscard]] std::uint64_t count_up_to(std::uint64_t us) const noexcept;

  /// The value that `percent` of all values do not exceed (an upper bound, at most an eighth too high); 0
  /// when nothing was counted.
  [[nodiscard]] std::uint64_t percentile_us(double percent) const noexcept;

  void merge(const HistogramSnapshot& other) noexcept;
};

/// Counts latencies without locks: 1.5 KB, one relaxed atomic addition a value.
///
/// Thread: any. A snapshot taken while others record may miss the values of that moment, no more.
class Histogram {
 public:
  /// Units: µs; negative values (a clock that stepped) count as 0.
  void record(std::int64_t us, std::uint64_t times = 1) noexcept;

  [[nodiscard]] HistogramSnapshot snapshot() const noexcept;
  void reset() noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, histogram_buckets::kCount> buckets_{};
  std::atomic<std::uint64_t> max_us_{0};
};

}  // namespace larder
