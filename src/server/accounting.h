#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "server/reply_queue.h"
#include "server/statistics.h"

namespace larder {

class Session;

/// Keeps book of a session's requests: statistics of the commands and of their errors, and the slow log.
///
/// Quick requests of one kind in a row are timed together: looking at the clock takes as long as a hit in L1.
///
/// Thread: its session's.
class Accounting {
 public:
  explicit Accounting(Session& session) noexcept : session_(session) {}

  /// The first of some requests in a row begins.
  void start(std::int64_t now_us) noexcept { started_us_ = now_us; }

  /// One was answered at once, at the end of `output`; the next begins.
  void answered(const Request& request, const Bytes& output, std::size_t reply_start);

  /// One may not run, and the reason is its reply.
  void refused(const Request& request, ByteView reply);

  /// No other follows for now.
  void close();

  /// What will be asked for when the reply is there of one that must wait.
  [[nodiscard]] ReplyQueue::Place place_for(const Request& request);
  void finished(const ReplyQueue::Place& place, ByteView reply);

  /// The last command outside our table, as it is counted; empty: nobody has it.
  [[nodiscard]] ByteView unlisted() const noexcept { return unlisted_; }

 private:
  [[nodiscard]] bool is_quick(const Request& request) const noexcept;
  [[nodiscard]] std::int64_t take_time() noexcept;
  void record_alone(const Request& request, ByteView reply);
  void record(CommandStatistics& command, std::int64_t took_us, ByteView reply);
  [[nodiscard]] CommandStatistics& statistics_of(const Request& request);

  Session& session_;
  std::int64_t started_us_ = 0;              ///< of the request being run, or of the quick ones before it
  const CommandSpec* quick_spec_ = nullptr;  ///< of the requests that are not recorded yet
  std::uint32_t quick_count_ = 0;            ///< how many they are
  ByteView unlisted_;                        ///< lives as long as the worker
};

}  // namespace larder
