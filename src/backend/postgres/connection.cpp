#include "backend/postgres/connection.h"

#include <algorithm>
#include <sys/epoll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/clock.h"

namespace larder::postgres {

Connection::Connection(boost::asio::io_context& io, Poller& poller, Shared& shared, SessionUse use)
    : io_(io), poller_(poller), shared_(shared), use_(use), link_(std::make_shared<Link>(this)) {}

Connection::~Connection() {
  link_->cut();
  if (connection_) poller_.remove(PQsocket(connection_.get()), *this);
}

void Connection::open_now() {
  adopt(shared_.dialer.dial_now(use_));
}

void Connection::adopt(Dialed dialed) {
  connection_ = std::move(dialed.connection);
  process_ = dialed.process;
  waits_to_write_ = false;
  poller_.add(PQsocket(connection_.get()), EPOLLIN, *this);
  if (std::exchange(doubted_, false)) shared_.coherence.settle();
}

void Connection::dial(std::optional<ServerProcess> doubtful) {
  shared_.dialer.dial(use_, doubtful, [link = link_](Dialed dialed) {
    // std::function wants to be copied, a connection cannot be.
    auto shared = std::make_shared<Dialed>(std::move(dialed));
    link->if_there([&](Connection& there) {
      boost::asio::post(there.io_, [link, shared] {
        link->if_there([&](Connection& still_there) { still_there.adopt(std::move(*shared)); });
      });
    });
  });
}

void Connection::send(Statement statement, const Params& params) {
  const Params::Raw& raw = params.raw();
  const int binary = 1;
  if (PQsendQueryPrepared(connection_.get(), text_of(statement).name, static_cast<int>(raw.values.size()),
                          raw.values.data(), raw.lengths.data(), raw.formats.data(), binary) == 0)
    send_error_ = one_line(PQerrorMessage(connection_.get()));
}

void Connection::send(const char* sql, const Params& params) {
  const Params::Raw& raw = params.raw();
  const int binary = 1;
  if (PQsendQueryParams(connection_.get(), sql, static_cast<int>(raw.values.size()), nullptr,
                        raw.values.data(), raw.lengths.data(), raw.formats.data(), binary) == 0)
    send_error_ = one_line(PQerrorMessage(connection_.get()));
}

void Connection::finish(Done done) {
  exchanges_.push_back({{}, std::move(done), steady_now_us()});
  if (send_error_) return lose(*std::exchange(send_error_, std::nullopt));
  if (PQpipelineSync(connection_.get()) == 0) return lose(PQerrorMessage(connection_.get()));
  flush();
}

void Connection::flush() {
  if (waits_to_write_) moved_us_ = steady_now_us();
  const int unsent = PQflush(connection_.get());
  if (unsent < 0) return lose(PQerrorMessage(connection_.get()));
  if ((unsent > 0) == waits_to_write_) return;
  waits_to_write_ = unsent > 0;
  const std::uint32_t events = waits_to_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
  poller_.modify(PQsocket(connection_.get()), events, *this);
}

void Connection::on_ready(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (PQconsumeInput(connection_.get()) == 0) return lose(PQerrorMessage(connection_.get()));
    read_results();
    if (connection_ && PQisBusy(connection_.get()) != 0) moved_us_ = steady_now_us();
  }
  if (connection_ && waits_to_write_) flush();
}

void Connection::read_results() {
  while (connection_ && !exchanges_.empty() && PQisBusy(connection_.get()) == 0)
    if (PGresult* result = PQgetResult(connection_.get())) take(result);
  if (connection_ && PQstatus(connection_.get()) == CONNECTION_BAD) lose(PQerrorMessage(connection_.get()));
}

void Connection::take(PGresult* raw) {
  Result result(raw);
  Exchange& exchange = exchanges_.front();
  const ExecStatusType status = PQresultStatus(raw);
  if (status == PGRES_PIPELINE_SYNC) {
    Exchange finished = std::move(exchange);
    exchanges_.pop_front();
    return finished.done(finished.outcome);
  }
  if (status == PGRES_PIPELINE_ABORTED) return;  // the failure came before
  if (result.ok()) return exchange.outcome.results.push_back(std::move(result));
  Failure failure = result.failure();
  if (failure.kind == Failure::Kind::lost) return lose(failure.text);
  if (!exchange.outcome.failure) exchange.outcome.failure = std::move(failure);
}

void Connection::check_deadline(std::int64_t now_us, std::int64_t allowed_us) {
  if (!connection_ || exchanges_.empty()) return;
  if (now_us - std::max(exchanges_.front().sent_us, moved_us_) > allowed_us) lose("no answer in time");
}

void Connection::lose(const std::string& why) {
  const std::string text = one_line(why.c_str());
  shared_.dialer.note_error(text);
  poller_.remove(PQsocket(connection_.get()), *this);
  connection_.reset();
  send_error_.reset();
  ++shared_.statistics.lost_connections;
  if (!std::exchange(doubted_, true)) shared_.coherence.doubt();
  // What was under way may still be at work in the server, and even commit.
  dial(exchanges_.empty() ? std::nullopt : std::optional(process_));
  for (std::deque<Exchange> failed = std::exchange(exchanges_, {}); Exchange & exchange : failed) {
    exchange.outcome.failure = Failure{Failure::Kind::lost, text};
    exchange.done(exchange.outcome);
  }
}

}  // namespace larder::postgres
