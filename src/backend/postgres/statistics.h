#pragma once

#include <atomic>
#include <cstdint>

#include "base/histogram.h"

namespace larder::postgres {

/// What INFO says about the work of all workers. Thread: any.
struct Statistics {
  Histogram latency;     ///< of a batch, from sending it to its answer
  Histogram batch_size;  ///< commands, not µs
  std::atomic<std::uint64_t> batches{0}, conflicts{0}, failures{0}, lost_connections{0}, swept{0};

  void reset() noexcept {
    latency.reset();
    batch_size.reset();
    for (auto* counter : {&batches, &conflicts, &failures, &lost_connections, &swept}) counter->store(0);
  }
};

}  // namespace larder::postgres
