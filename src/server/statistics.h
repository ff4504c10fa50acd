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

/// Error replies by their first word, which is what INFO errorstats tells.
class ErrorStatistics {
 public:
  static constexpr std::array<ByteView, 16> kPrefixes = {
      "ERR",      "WRONGTYPE", "NOAUTH",  "WRONGPASS", "NOPROTO",   "OOM",         "NOPERM",  "READONLY",
      "NOSCRIPT", "BUSY",      "BUSYKEY", "EXECABORT", "CROSSSLOT", "CLUSTERDOWN", "LOADING", "other"};

  /// `reply` begins with `-`.
  void record(ByteView reply) noexcept {
    const ByteView word = reply.substr(1, reply.find_first_of(" \r") - 1);
    std::size_t i = 0;
    while (i + 1 < kPrefixes.size() && kPrefixes[i] != word) ++i;
    counters_[i].add();
  }

  [[nodiscard]] std::uint64_t count(std::size_t prefix) const noexcept { return counters_[prefix].get(); }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const Counter& counter : counters_) sum += counter.get();
    return sum;
  }
  void reset() noexcept {
    for (Counter& counter : counters_) counter.reset();
  }

 private:
  std::array<Counter, kPrefixes.size()> counters_;
};

/// Counters of one worker; the worker writes, INFO reads from any thread.
struct WorkerStatistics {
  Counter commands, bytes_in, bytes_out, connections, protocol_errors;
  ErrorStatistics errors;
  std::atomic<std::uint64_t> clients{0};  ///< the listener counts up, the worker down

  WorkerStatistics() : by_command_(std::make_unique<CommandStatistics[]>(all_commands().size() + 1)) {}

  /// The statistics of a command; null means one that is not in our table.
  [[nodiscard]] CommandStatistics& of(const CommandSpec* spec) noexcept {
    const auto commands = all_commands();
    return by_command_[spec == nullptr ? commands.size() : static_cast<std::size_t>(spec - commands.data())];
  }

  /// Thread: any. What the worker counts at this very moment may survive.
  void reset() noexcept {
    for (Counter* counter : {&commands, &bytes_in, &bytes_out, &connections, &protocol_errors})
      counter->reset();
    errors.reset();
    for (std::size_t i = 0; i <= all_commands().size(); ++i) by_command_[i].reset();
  }

 private:
  std::unique_ptr<CommandStatistics[]> by_command_;  ///< indexed like all_commands(), one more at the end
};

}  // namespace larder
