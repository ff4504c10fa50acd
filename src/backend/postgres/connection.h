#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "backend/postgres/shared.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/statements.h"
#include "io/poller.h"

namespace larder::postgres {

/// What became of one implicit transaction: all results, or the first failure.
struct Outcome {
  std::vector<Result> results;
  std::optional<Failure> failure;
};

/// A worker's connection in libpq's pipeline mode, driven by the poller; dialed again when it is lost.
///
/// Shape:  send() statements, then finish(): together they are one transaction (unless `begin` was sent), and
///         `done` is called once with all their results.
/// Errors: a lost connection fails everything under way with Failure::Kind::lost.
/// Thread: one worker.
class Connection final : private Pollable {
 public:
  using Done = std::function<void(Outcome&)>;

  Connection(boost::asio::io_context& io, Poller& poller, Shared& shared, SessionUse use);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Opens it now, blocking. Errors: SqlError.
  void open_now();

  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }

  void send(Statement statement, const Params& params = Params());
  void send(const char* sql, const Params& params);
  void finish(Done done);

  /// Gives the connection up when the oldest answer is overdue.
  void check_deadline(std::int64_t now_us, std::int64_t allowed_us);

 private:
  struct Exchange {
    Outcome outcome;
    Done done;
    std::int64_t sent_us;
  };

  /// What late calls of the dialer hold: the worker, and its event loop, may have ended meanwhile.
  class Link {
   public:
    explicit Link(Connection* connection) : connection_(connection) {}
    void cut() {
      const std::lock_guard lock(mutex_);
      connection_ = nullptr;
    }
    template <class Visit>
    void if_there(Visit visit) {
      const std::lock_guard lock(mutex_);
      if (connection_ != nullptr) visit(*connection_);
    }

   private:
    std::mutex mutex_;
    Connection* connection_;  // guarded by mutex_
  };

  void on_ready(std::uint32_t events) override;
  void adopt(Dialed dialed);
  void dial(std::optional<ServerProcess> doubtful);
  void flush();
  void read_results();
  void take(PGresult* result);
  void lose(const std::string& why);

  boost::asio::io_context& io_;
  Poller& poller_;
  Shared& shared_;
  const SessionUse use_;
  ConnectionHandle connection_;
  ServerProcess process_;
  bool doubted_ = false;  ///< lost: what it did last may still commit, so the L1 is not used
  std::optional<std::string> send_error_;
  std::deque<Exchange> exchanges_;  ///< oldest first
  std::int64_t moved_us_ = 0;       ///< when bytes of what is under way last left or came
  bool waits_to_write_ = false;
  const std::shared_ptr<Link> link_;
};

}  // namespace larder::postgres
