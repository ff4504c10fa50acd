#include "backend/postgres/dialer.h"

#include <algorithm>

#include <fmt/core.h>

#include "backend/postgres/statements.h"

namespace larder::postgres {
namespace {

Result fetch(PGconn* connection, const std::string& sql) {
  Result result(PQexecParams(connection, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1));
  if (!result.ok()) throw SqlError(result.failure());
  return result;
}

void prepare_statements(PGconn* connection) {
  for (const StatementText& statement : kStatements) {
    const Result result(PQprepare(connection, statement.name, statement.sql, 0, nullptr));
    if (!result.ok()) throw SqlError(result.failure());
  }
}

ServerProcess identify(PGconn* connection) {
  const Result found = fetch(connection,
                             "select pid::int8, (extract(epoch from backend_start) * 1000000)::int8"
                             " from pg_stat_activity where pid = pg_backend_pid()");
  return found.rows() == 0 ? ServerProcess{} : ServerProcess{found.number(0, 0), found.number(0, 1)};
}

}  // namespace

Dialer::Dialer(const Options& options) : options_(options), thread_([this] { run(); }) {}

Dialed Dialer::dial_now(SessionUse use) const {
  Dialed dialed;
  dialed.connection = open_session(options_, use);
  dialed.process = identify(dialed.connection.get());
  if (use == SessionUse::lane) prepare_statements(dialed.connection.get());
  PQsetnonblocking(dialed.connection.get(), 1);
  PQenterPipelineMode(dialed.connection.get());
  return dialed;
}

void Dialer::dial(SessionUse use, std::optional<ServerProcess> doubtful,
                  std::function<void(Dialed)> connected) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back({use, doubtful, std::move(connected)});
  changed_.notify_all();
}

std::string Dialer::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void Dialer::note_error(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (outage_.is_to_be_told(log::now_us())) log::warning("postgres: no connection: {}", text);
  last_error_ = text;
}

void Dialer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Dialer::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    serve(job);
  }
}

void Dialer::serve(Job& job) {
  for (auto wait = kFirstPause;; wait = std::min(wait * 2, kLongestPause)) {
    try {
      if (job.doubtful) end_process(open_session(options_, SessionUse::upkeep).get(), *job.doubtful);
      job.connected(dial_now(job.use));
      if (outage_.end()) log::info("postgres: connected again");
      return;
    } catch (const SqlError& error) {
      note_error(error.what());
    }
    if (!pause(wait)) return;
  }
}

/// False when the dialer is to stop.
bool Dialer::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

void Dialer::end_process(PGconn* connection, const ServerProcess& process) {
  const std::string same =
      fmt::format("pid = {} and (extract(epoch from backend_start) * 1000000)::int8 = {}", process.pid,
                  process.started_us);
  while (fetch(connection, "select pg_terminate_backend(pid) from pg_stat_activity where " + same).rows() > 0)
    if (!pause(std::chrono::milliseconds(10))) return;
}

}  // namespace larder::postgres
