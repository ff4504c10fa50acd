#pragma once

#include <chrono>
#include <string>

#include "backend/postgres/options.h"
#include "backend/postgres/sql.h"

namespace larder::postgres {

/// What a session is for; it decides planner settings and time-outs.
enum class SessionUse : std::uint8_t {
  lane,    ///< keyed statements only: plans are fixed, a sequential scan is never right
  wide,    ///< whole-keyspace statements, free plans
  upkeep,  ///< schema changes, sweeps, LISTEN
};

/// Opens a connection and sets its session up. Blocks for as long as options.connect_timeout.
///
/// Errors: SqlError of kind `lost`; its text never holds the password.
[[nodiscard]] ConnectionHandle open_session(const Options& options, SessionUse use);

/// A session for threads that may block: start-up and upkeep.
///
/// Errors: SqlError. After kind `lost` the session is of no more use.
/// Thread: one at a time.
class BlockingSession {
 public:
  BlockingSession(const Options& options, SessionUse use)
      : connection_(open_session(options, use)), timeout_(options.command_timeout) {}

  /// One statement. Parameters and result are binary.
  Result query(const char* sql, const Params& params = Params());
  Result query(const std::string& sql, const Params& params = Params()) { return query(sql.c_str(), params); }

  /// Several statements at once, in one transaction.
  void script(const std::string& sql);

  void set_timeout(std::chrono::milliseconds timeout) noexcept { timeout_ = timeout; }

  [[nodiscard]] PGconn* raw() noexcept { return connection_.get(); }

 private:
  void finish_sending(std::chrono::steady_clock::time_point deadline);
  Result take_result(std::chrono::steady_clock::time_point deadline);
  void await(short events, std::chrono::steady_clock::time_point deadline);
  [[noreturn]] void lose(const char* why);

  ConnectionHandle connection_;
  std::chrono::milliseconds timeout_;
};

}  // namespace larder::postgres
