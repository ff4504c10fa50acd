#include "backend/postgres/session.h"

#include <algorithm>
#include <poll.h>

#include <fmt/core.h>

namespace larder::postgres {
namespace {

using Clock = std::chrono::steady_clock;

/// Half of the time a command may take: a lock that somebody forgot must not use it up.
long lock_timeout_ms(const Options& options) {
  return std::max<long>(1, static_cast<long>(options.command_timeout.count() / 2));
}

/// `larder.origin` tells the triggers that Larder itself speaks of the change.
std::string session_settings(const Options& options, SessionUse use) {
  std::string sql = fmt::format(
      "set larder.origin = 'larder'; set search_path = {}; set client_min_messages = warning;"
      "set default_transaction_isolation = 'read committed'; set default_transaction_read_only = off;"
      "set jit = off; set statement_timeout = {}; set lock_timeout = {};"
      "set idle_in_transaction_session_timeout = {};",
      options.schema, options.command_timeout.count(), lock_timeout_ms(options),
      options.command_timeout.count());
  // A plan made while the table was small must not become a sequential scan of a large one, and rows are
  // locked in key order only if the index is walked in key order.
  if (use == SessionUse::lane)
    sql +=
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off;"
        "set enable_hashjoin = off; set enable_mergejoin = off;";
  return sql;
}

ConnectionHandle connect(const Options& options) {
  // What stands before `dbname` can be overruled by the conninfo, what stands after it cannot.
  const std::string seconds =
      std::to_string(std::max<long>(1, static_cast<long>(options.connect_timeout.count() / 1000)));
  const char* const names[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                               "keepalives_count", "tcp_user_timeout", "fallback_application_name",
                               "dbname",           "client_encoding",  nullptr};
  const char* const values[] = {seconds.c_str(),          "5",    "2",    "2", "10000", "larder",
                                options.conninfo.c_str(), "UTF8", nullptr};
  const int expand_dbname = 1;
  return ConnectionHandle(PQconnectdbParams(names, values, expand_dbname));
}

}  // namespace

ConnectionHandle open_session(const Options& options, SessionUse use) {
  ConnectionHandle connection = connect(options);
  if (PQstatus(connection.get()) != CONNECTION_OK)
    throw SqlError({Failure::Kind::lost, one_line(PQerrorMessage(connection.get()))});
  // libpq would print what the server says on the side (that it is shutting down) to stderr.
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const Result result(PQexec(connection.get(), session_settings(options, use).c_str()));
  if (!result.ok()) throw SqlError(result.failure());
  return connection;
}

Result BlockingSession::query(const char* sql, const Params& params) {
  const auto deadline = Clock::now() + timeout_ + std::chrono::seconds(1);
  const Params::Raw& raw = params.raw();
  const int binary = 1;
  if (PQsendQueryParams(connection_.get(), sql, static_cast<int>(raw.values.size()), nullptr,
                        raw.values.data(), raw.lengths.data(), raw.formats.data(), binary) == 0)
    lose(PQerrorMessage(connection_.get()));
  finish_sending(deadline);
  Result last = take_result(deadline);
  if (!last.ok()) throw SqlError(last.failure());
  return last;
}

void BlockingSession::script(const std::string& sql) {
  const auto deadline = Clock::now() + timeout_ + std::chrono::seconds(1);
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) lose(PQerrorMessage(connection_.get()));
  finish_sending(deadline);
  const Result last = take_result(deadline);
  if (!last.ok()) throw SqlError(last.failure());
}

void BlockingSession::finish_sending(Clock::time_point deadline) {
  while (const int unsent = PQflush(connection_.get())) {
    if (unsent < 0) lose(PQerrorMessage(connection_.get()));
    await(POLLOUT, deadline);
  }
}

/// The first error, or the last result.
Result BlockingSession::take_result(Clock::time_point deadline) {
  Result kept;
  for (bool failed = false;;) {
    while (PQisBusy(connection_.get()) != 0) {
      await(POLLIN, deadline);
      if (PQconsumeInput(connection_.get()) == 0) lose(PQerrorMessage(connection_.get()));
    }
    PGresult* next = PQgetResult(connection_.get());
    if (next == nullptr) return kept;
    if (!failed)
      kept = Result(next);
    else
      PQclear(next);
    failed = !kept.ok();
  }
}

void BlockingSession::await(short events, Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd waited{PQsocket(connection_.get()), events, 0};
  if (left <= 0 || poll(&waited, 1, static_cast<int>(left)) == 0) lose("no answer in time");
}

void BlockingSession::lose(const char* why) {
  throw SqlError({Failure::Kind::lost, one_line(why)});
}

}  // namespace larder::postgres
