#pragma once

#include <atomic>
#include <cstdint>

namespace larder {

/// A statistic with one writer at a time (a worker, or whoever holds the shard's lock) and readers anywhere.
///
/// Cheaper than fetch_add: no locked instruction on the hot path.
class Counter {
 public:
  void add(std::uint64_t by = 1) noexcept { value_.store(get() + by, std::memory_order_relaxed); }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace larder
