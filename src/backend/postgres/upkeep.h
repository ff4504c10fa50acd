#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "backend/postgres/session.h"
#include "backend/postgres/shared.h"

namespace larder::postgres {

/// Measures how far the database's clock is ahead of ours; 0 when the round trip explains the difference.
[[nodiscard]] std::int64_t measure_clock_offset_ms(BlockingSession& session);

/// What nobody waits for: sweeping expired rows, having a table analyzed that has grown, following the
/// database's clock, marking a test schema as in use.
///
/// Invariant: one process does the first two for a schema, the one that holds its advisory lock.
/// Thread:    one of its own.
class Upkeep {
 public:
  explicit Upkeep(Shared& shared) : shared_(shared) {}
  ~Upkeep() { stop(); }
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

  void start();
  void stop();

 private:
  void run();
  void work(BlockingSession& session);
  bool become_sweeper(BlockingSession& session);
  std::int64_t sweep_step(BlockingSession& session);
  void analyze_if_grown(BlockingSession& session, std::int64_t pages);
  void invalidate_pending(BlockingSession& session);
  void invalidate_queued(BlockingSession& session);
  bool pause(std::chrono::milliseconds time);

  Shared& shared_;
  std::int64_t next_page_ = 0;
  std::int64_t analyzed_pages_ = 0;  ///< the table had, when it was analyzed last
  bool is_sweeper_ = false;

  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace larder::postgres
