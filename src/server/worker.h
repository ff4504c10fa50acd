#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "backend/backend.h"
#include "io/poller.h"
#include "server/hot_keys.h"
#include "server/hub.h"
#include "server/session.h"
#include "server/slowlog.h"
#include "server/statistics.h"

namespace larder {

class Server;

/// One thread with everything its clients need: event loop, sessions, its own way to the backend.
///
/// Thread: its own, but for post() and statistics().
class Worker {
 public:
  Worker(Server& server, Tier& tier, int index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  void join();

  /// Runs `work` on this worker. Thread: any.
  void post(std::function<void()> work);

  /// Takes over an accepted socket (non-blocking).
  void adopt(int fd, ClientIdentity identity);

  /// Stops reading requests, answers what was read, then ends the loop; `deadline_us` (steady) cuts it short.
  void drain(std::int64_t deadline_us);

  // --- for sessions ---
  [[nodiscard]] Server& server() noexcept { return server_; }
  [[nodiscard]] int index() const noexcept { return index_; }
  [[nodiscard]] Backend& backend() noexcept { return *backend_; }
  [[nodiscard]] Poller& poller() noexcept { return *poller_; }
  [[nodiscard]] boost::asio::io_context& io() noexcept;
  [[nodiscard]] std::span<char> scratch() noexcept { return scratch_; }
  [[nodiscard]] WorkerStatistics& statistics() noexcept { return statistics_; }
  [[nodiscard]] const std::unordered_map<std::uint64_t, std::unique_ptr<Session>>& sessions() const noexcept {
    return sessions_;
  }
  [[nodiscard]] HotKeys& hot_keys() noexcept { return hot_keys_; }
  [[nodiscard]] Hub& hub() noexcept { return hub_; }
  [[nodiscard]] Session* find_session(std::uint64_t id) noexcept;

  /// The clocks as of the last refresh: once per ready socket, so that a pipeline pays for them once.
  [[nodiscard]] UnixMs now_ms() const noexcept { return now_ms_; }
  [[nodiscard]] std::int64_t now_us() const noexcept { return now_us_; }  ///< of the steady clock
  void refresh_clock() noexcept;

  [[nodiscard]] bool is_slow(std::int64_t took_us) const noexcept;
  [[nodiscard]] bool keeps_slow_requests() const noexcept;

  /// The slow log wants to hear of requests that are not slow at all.
  [[nodiscard]] bool times_quick_requests() const noexcept;
  void log_slow(const Session& session, std::span<const ByteView> request, const Slowlog::Split& took);
  void log_slow(const Session& session, const ReplyQueue::Place& place, const Slowlog::Split& took);

  /// An empty buffer with room in it, and back again.
  [[nodiscard]] Bytes take_buffer();
  void give_buffer(Bytes buffer);

  /// The session has replies to send: settle() at the end of the batch.
  void mark_dirty(Session& session);

  /// The session is closed and owes nothing: it is destroyed at the end of the batch.
  void release(Session& session);

  /// The session waits for the end of CLIENT PAUSE.
  void park(Session& session);

  /// The session's next request cannot be run yet, though nothing is before it: it is tried again at the next
  /// tick.
  void retry_at_tick(Session& session);

  /// Shows a command to the MONITOR clients of this worker.
  void show_monitors(ByteView line);
  std::atomic<std::size_t> monitors{0};  ///< written by this worker only

  /// Its clients that keep what they read (CLIENT TRACKING).
  std::unordered_set<Session*> trackers;
  std::atomic<std::size_t> broadcasting{0};  ///< of them with BCAST; written by this worker only

  /// A request in RESP form (inline requests). Life: until the next call.
  [[nodiscard]] ByteView encode(std::span<const ByteView> argv);

 private:
  void run();
  void settle_dirty();
  void tick();
  void take_rate();
  void compare_clocks() noexcept;
  void arm_tick();
  void resume_all(std::vector<std::uint64_t>& ids);
  void finish_if_drained();

  Server& server_;
  const int index_;
  struct Loop;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<Backend> backend_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::vector<Session*> dirty_;
  std::vector<std::uint64_t> released_;
  std::vector<std::uint64_t> parked_;
  std::vector<std::uint64_t> retried_;
  std::vector<Bytes> spare_buffers_;
  std::vector<char> scratch_;
  Bytes encoded_;
  WorkerStatistics statistics_;
  HotKeys hot_keys_;
  Hub hub_;
  UnixMs now_ms_ = 0;
  std::int64_t now_us_ = 0;
  std::int64_t unix_ahead_us_ = 0;  ///< of the steady clock, when they were last compared
  int ticks_ = 0;
  std::uint64_t commands_before_ = 0;  ///< that were processed when their rate was taken last
  std::int64_t rate_taken_us_ = 0;
  bool draining_ = false;
  bool backend_drained_ = false;
  std::int64_t drain_deadline_us_ = 0;
};

}  // namespace larder
