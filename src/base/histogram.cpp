#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace larder {

namespace histogram_buckets {

std::size_t index_of(std::uint64_t us) noexcept {
  if (us < kPerOctave) return us;
  const int top = std::bit_width(us) - 1;
  if (top >= kTopBit) return kCount - 1;
  // The top bit names the octave, the three bits below it the place inside.
  const int octave = top - kSubBits;
  return (static_cast<std::size_t>(octave) << kSubBits) + (us >> octave);
}

std::uint64_t upper_bound(std::size_t index) noexcept {
  if (index < 2 * kPerOctave) return index;
  const std::size_t octave = (index >> kSubBits) - 1;
  const std::uint64_t first = (kPerOctave + index % kPerOctave) << octave;
  return first + (std::uint64_t{1} << octave) - 1;
}

}  // namespace histogram_buckets

using histogram_buckets::index_of;
using histogram_buckets::upper_bound;

std::uint64_t HistogramSnapshot::count() const noexcept {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

std::uint64_t HistogramSnapshot::count_up_to(std::uint64_t us) const noexcept {
  const auto end = buckets.begin() + static_cast<std::ptrdiff_t>(index_of(us)) + 1;
  return std::accumulate(buckets.begin(), end, std::uint64_t{0});
}

std::uint64_t HistogramSnapshot::percentile_us(double percent) const noexcept {
  const auto total = static_cast<double>(count());
  if (total == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::max(1.0, std::ceil(total * percent / 100)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen >= wanted) return i + 1 == buckets.size() ? max_us : std::min(upper_bound(i), max_us);
  }
  return max_us;
}

void HistogramSnapshot::merge(const HistogramSnapshot& other) noexcept {
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  max_us = std::max(max_us, other.max_us);
}

void Histogram::record(std::int64_t us, std::uint64_t times) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
  buckets_[index_of(value)].fetch_add(times, std::memory_order_relaxed);
  std::uint64_t max = max_us_.load(std::memory_order_relaxed);
  while (value > max && !max_us_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
  }
}

HistogramSnapshot Histogram::snapshot() const noexcept {
  HistogramSnapshot out;
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    out.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
  out.max_us = max_us_.load(std::memory_order_relaxed);
  return out;
}

void Histogram::reset() noexcept {
  for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
  max_us_.store(0, std::memory_order_relaxed);
}

}  // namespace larder
