#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "backend/backend.h"
#include "config/backend_choice.h"
#include "config/settings.h"
#include "io/tls_context.h"
#include "keyspace/keyspace.h"
#include "server/invalidations.h"
#include "server/slowlog.h"
#include "server/worker.h"

namespace larder {

class Listener;

/// How much may wait to be sent to a client; 0 is no bound.
struct OutputBounds {
  std::atomic<std::uint64_t> hard_bytes{0};
  std::atomic<std::uint64_t> soft_bytes{0};  ///< for longer than soft_s
  std::atomic<std::int64_t> soft_s{0};
};

/// Which commands CLIENT PAUSE holds back.
enum class PauseOf : std::uint8_t { writes, all };

/// Settings that CONFIG SET may change while workers read them.
struct LiveSettings {
  std::atomic<std::uint64_t> max_clients{0};
  std::atomic<std::int64_t> idle_timeout_s{0};
  std::atomic<std::int64_t> tcp_keepalive_s{0};
  std::atomic<std::int64_t> max_bulk_bytes{0};
  std::atomic<std::uint64_t> query_buffer_limit{0};
  OutputBounds normal_output;
  OutputBounds pubsub_output;                           ///< clients that are sent what they did not ask for
  std::atomic<std::int64_t> slowlog_slower_than_us{0};  ///< negative: no slow log
  std::atomic<std::uint64_t> slowlog_max_len{0};
};

/// The process as its clients see it: listeners, workers, and what all workers share.
///
/// Life:   made in main after the tier; outlives its workers.
/// Thread: public members are atomic or have a lock of their own.
class Server {
 public:
  /// `tls` is for the clients of tls.port; null when there is none.
  Server(const config::Settings& settings, config::BackendChoice choice, Keyspace& keyspace, Tier& tier,
         std::shared_ptr<TlsContext> tls = nullptr);
  ~Server();

  /// Listens and serves until stop(); returns when the last worker has ended.
  /// Errors: throws std::runtime_error with one sentence when an address cannot be listened on.
  void run();

  /// Called by SIGHUP to read the configuration again, on the main thread; what it throws is logged, and
  /// nothing changes. To be set before run().
  std::function<config::Settings()> read_settings_again;

  /// Graceful end: stop accepting, answer what was asked, finish writes. Thread: any, also a signal handler's
  /// loop.
  void stop();

  /// Runs `work` on every worker and then `done` on the worker `home`, with nothing waited for.
  void on_every_worker(Worker& home, std::function<void(Worker&)> work, std::function<void()> done);

  [[nodiscard]] const config::Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] const config::BackendChoice& choice() const noexcept { return choice_; }
  [[nodiscard]] Keyspace& keyspace() noexcept { return keyspace_; }
  [[nodiscard]] Tier& tier() noexcept { return tier_; }
  [[nodiscard]] Invalidations& invalidations() noexcept { return invalidations_; }
  [[nodiscard]] const std::shared_ptr<TlsContext>& tls() const noexcept { return tls_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& workers() const noexcept { return workers_; }

  /// The ports clients reach, 0 for none.
  [[nodiscard]] std::uint16_t tcp_port() const noexcept { return tcp_port_; }
  [[nodiscard]] std::uint16_t tls_port() const noexcept { return tls_port_; }

  [[nodiscard]] std::string password() const;
  void set_password(std::string password);

  [[nodiscard]] std::uint64_t clients() const noexcept;

  /// How many of so many clients the system has descriptors for. Thread: any, while it runs.
  [[nodiscard]] std::uint64_t room_for(std::uint64_t clients) const;

  /// CLIENT PAUSE. A pause that is under way is never cut short by a second one.
  void pause(UnixMs now_ms, std::int64_t duration_ms, PauseOf what);
  void unpause() noexcept { paused_until_ms = 0; }

  /// Forgets all counters and latencies (CONFIG RESETSTAT).
  void reset_statistics();

  /// So much memory was seen to be in use; returns the most that was. Thread: any.
  std::uint64_t note_memory(std::uint64_t bytes) noexcept;

  /// Hands a line to all MONITOR clients. Thread: any.
  void show_monitors(std::string line);

  LiveSettings live;
  Slowlog slowlog;
  Topics topics;
  std::atomic<std::uint64_t> next_client_id{1};
  std::atomic<std::size_t> monitors{0};
  std::atomic<std::uint64_t> rejected_connections{0};
  std::atomic<UnixMs> paused_until_ms{0};  ///< CLIENT PAUSE
  std::atomic<bool> pause_writes_only{false};
  const std::int64_t started_us;  ///< steady
  const std::string run_id;       ///< 40 hex digits

 private:
  void accepted(int fd, ClientIdentity identity);
  void refuse(int fd, const ClientIdentity& identity);
  void fit_max_clients();
  void listen();
  void log_ready() const;
  void await_hangup(boost::asio::signal_set& signals);
  void reload();

  const config::Settings settings_;
  config::Settings last_read_;  ///< main thread
  const config::BackendChoice choice_;
  Keyspace& keyspace_;
  Tier& tier_;
  const std::shared_ptr<TlsContext> tls_;
  Invalidations invalidations_;
  std::vector<std::unique_ptr<Worker>> workers_;
  boost::asio::io_context io_{1};  ///< of the thread that runs run(); outlives the listener
  std::unique_ptr<Listener> listener_;
  std::uint16_t tcp_port_ = 0, tls_port_ = 0;
  std::uint64_t own_descriptors_ = 0;  ///< open without any client
  mutable std::mutex password_mutex_;
  std::string password_;
  std::atomic<std::uint64_t> peak_memory_{0};
};

}  // namespace larder
