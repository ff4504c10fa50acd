#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "backend/postgres/options.h"
#include "backend/postgres/session.h"
#include "backend/postgres/sql.h"
#include "base/log.h"

namespace larder::postgres {

/// A server process of PostgreSQL, told apart from a later one with the same number.
struct ServerProcess {
  std::int64_t pid = 0;
  std::int64_t started_us = 0;  ///< since 1970
};

/// A connection in pipeline mode, its statements prepared.
struct Dialed {
  ConnectionHandle connection;
  ServerProcess process;
};

/// Opens the connections of the workers on a thread of its own, because libpq's look-ups and log-ins block.
///
/// Invariant: it tries again, with growing pauses, until it succeeds or is stopped.
/// Thread:    any; callbacks come on the dialer's thread.
class Dialer {
 public:
  explicit Dialer(const Options& options);
  ~Dialer() { stop(); }
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  /// A connection at once or an SqlError.
  [[nodiscard]] Dialed dial_now(SessionUse use) const;

  /// Calls `connected` when there is one. `doubtful` is the process of a lost connection that may still be
  /// at work: it is ended first, so that nothing it does comes after this.
  void dial(SessionUse use, std::optional<ServerProcess> doubtful, std::function<void(Dialed)> connected);

  /// Why there is no connection, for error replies.
  [[nodiscard]] std::string last_error() const;
  void note_error(const std::string& text);

  void stop();

 private:
  struct Job {
    SessionUse use;
    std::optional<ServerProcess> doubtful;
    std::function<void(Dialed)> connected;
  };

  void run();
  void serve(Job& job);
  bool pause(std::chrono::milliseconds time);
  void end_process(PGconn* connection, const ServerProcess& process);

  const Options& options_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::string last_error_ = "not connected yet";
  log::Outage outage_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace larder::postgres
