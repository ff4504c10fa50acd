#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/counter.h"
#include "base/histogram.h"
#include "command/spec.h"

namespace larder {

/// What INFO commandstats and LATENCY HISTOGRAM tell of one command on one worker.
class CommandStatistics {
 public:
  Counter calls, microseconds, rejected, failed;

  /// Counts `times` calls that took `us` together.
  void record(std::int64_t us, std::uint32_t times = 1) {
    if (histogram_.load(std::memory_order_relaxed) == nullptr)
      histogram_.store(new Histogram, std::memory_order_release);
    histogram_.load(std::memory_order_relaxed)->record(us / times, times);
    calls.add(times);
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
  std::atomic<std::uint64_t> blocked{0};  ///< of them: those that wait in a command
  std::atomic<std::uint64_t> commands_per_s{0};

  WorkerStatistics() : by_command_(std::make_unique<CommandStatistics[]>(all_commands().size())) {}

  /// The statistics of a command in our table.
  [[nodiscard]] CommandStatistics& of(const CommandSpec& spec) noexcept {
    return by_command_[static_cast<std::size_t>(&spec - all_commands().data())];
  }

  /// Of one that is not, but that the backend may have, with the name that it is shown under; `name` is as
  /// the client wrote it. Life: the worker's. Thread: the worker.
  using Unlisted = std::pair<const std::string, CommandStatistics>;
  [[nodiscard]] Unlisted& of_unlisted(ByteView name);

  /// Of those that nobody has, which are not shown.
  [[nodiscard]] CommandStatistics& of_unknown() noexcept { return unknown_; }

  /// Hands out name and statistics of every command, most of which were never run. Thread: any.
  template <class Visit>
  void for_each_command(Visit visit) const {
    for (const CommandSpec& spec : all_commands())
      visit(spec.name, by_command_[static_cast<std::size_t>(&spec - all_commands().data())]);
    const std::lock_guard lock(unlisted_mutex_);
    for (const auto& [name, command] : unlisted_) visit(ByteView(name), command);
  }

  /// Thread: any. What the worker counts at this very moment may survive.
  void reset() noexcept {
    for (Counter* counter : {&commands, &bytes_in, &bytes_out, &connections, &protocol_errors})
      counter->reset();
    errors.reset();
    for (std::size_t i = 0; i < all_commands().size(); ++i) by_command_[i].reset();
    const std::lock_guard lock(unlisted_mutex_);
    for (auto& [name, command] : unlisted_) command.reset();
  }

 private:
  std::unique_ptr<CommandStatistics[]> by_command_;  ///< indexed like all_commands()
  CommandStatistics unknown_;
  mutable std::mutex unlisted_mutex_;  ///< of new names; the worker alone makes them
  std::map<std::string, CommandStatistics, std::less<>> unlisted_;
};

}  // namespace larder
