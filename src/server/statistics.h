#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "base/counter.h"
#include "base/histogram.h"
#include "command/spec.h"

namespace larder {

/// What INFO commandstats and LATENCY HISTOGRAM tell of one command on one worker.
class CommandStatistics {
 public:
  Counter calls, microseconds, rejected, failed;

  void record(std::int64_t us) {
    if (histogram_.load(std::memory_order_relaxed) == nullptr)
      histogram_.store(new Histogram, std::memory_order_release);
    histogram_.load(std::memory_order_relaxed)->record(us);
    calls.add();
    microseconds.add(static_cast<std::uint64_t>(us));
  }

  /// Null before the first call. Thread: any.
  [[nodiscard]] const Histogram* histogram() const noexcept {
    return histogram_.load(std::memory_order_acquire);
  }

  void reset() noexcept {
    for (Counter* counter : {&calls, &microseconds, &rejected, &failed}) counter->reset();
    if (Histogram* used = histogram_.load()) used->reset();
  }

  ~CommandStatistics() { delete histogram_.load(); }

 private:
  std::atomic<Histogram*> histogram_{nullptr};  ///< made at the first call: most commands are never used
};

/// Counters of one worker; the worker writes, INFO reads from any thread.
struct WorkerStatistics {
  Counter commands, bytes_in, bytes_out, connections, protocol_errors, errors;
  std::atomic<std::uint64_t> clients{0};  ///< the listener counts up, the worker down

  WorkerStatistics() : by_command_(std::make_unique<CommandStatistics[]>(all_commands().size() + 1)) {}

  /// The statistics of a command; null means one that is not in our table.
  [[nodiscard]] CommandStatistics& of(const CommandSpec* spec) noexcept {
    const auto commands = all_commands();
    return by_command_[spec == nullptr ? commands.size() : static_cast<std::size_t>(spec - commands.data())];
  }

 private:
  std::unique_ptr<CommandStatistics[]> by_command_;  ///< indexed like all_commands(), one more at the end
};

}  // namespace larder
