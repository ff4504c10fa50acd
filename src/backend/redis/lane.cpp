#include "backend/redis/lane.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

#include "backend/redis/swap_watch.h"
#include "base/clock.h"
#include "base/log.h"

namespace larder::redis {

using tcp = boost::asio::ip::tcp;

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kReadsPerTurn = 16;                 // then other sockets have their turn
constexpr std::size_t kKeptBuffer = 1024 * 1024;  // a larger one is given back once it is empty
constexpr std::int64_t kFirstRetryUs = 50'000;
constexpr std::int64_t kLongestRetryUs = 2'000'000;

std::int64_t micros(std::chrono::milliseconds time) noexcept {
  return std::chrono::microseconds(time).count();
}

/// The wait before the next attempt: doubled each time, and spread so that workers do not come all at once.
std::int64_t retry_delay_us(int failures) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const std::int64_t longest = std::min(kFirstRetryUs << std::min(failures, 10), kLongestRetryUs);
  return std::uniform_int_distribution<std::int64_t>(longest / 2, longest)(random);
}

void empty_buffer(Bytes& buffer) {
  if (buffer.capacity() > kKeptBuffer)
    Bytes().swap(buffer);
  else
    buffer.clear();
}

/// Where sockets are read into; what is unfinished moves to the lane's own buffer.
std::array<char, kReadBytes>& scratch() {
  static thread_local std::array<char, kReadBytes> bytes;
  return bytes;
}

}  // namespace

struct Lane::Resolver {
  tcp::resolver resolver;
  std::vector<tcp::endpoint> endpoints;
  std::size_t next = 0;
};

Lane::Lane(const LaneContext& context, const Purpose& purpose) : context_(context), purpose_(purpose) {}

Lane::~Lane() {
  close();
}

// --- opening ---

ByteView Lane::refusal() {
  if (state_ == State::closed && steady_now_us() >= retry_at_us_) open();
  if (state_ == State::closed) {
    refusal_ = fmt::format("ERR Redis at {} cannot be reached: {}", context_.label, problem_);
    return refusal_;
  }
  if (out_.size() - sent_ <= context_.worker.options.queue_limit_bytes) return {};
  refusal_ =
      fmt::format("ERR Redis at {} does not keep up: too much is waiting to be sent to it", context_.label);
  return refusal_;
}

void Lane::open() {
  open_deadline_us_ = steady_now_us() + micros(context_.worker.options.connect_timeout);
  const config::RedisAddress& address = context_.address;
  if (address.path.empty()) return resolve();
  std::error_code error;
  socket_ = start_connect_unix(address.path, error);
  if (error) return lose(error.message());
  state_ = State::connecting;
  context_.worker.poller.add(socket_.get(), EPOLLOUT, *this);
}

void Lane::resolve() {
  const config::RedisAddress& address = context_.address;
  state_ = State::resolving;
  resolver_ = std::make_unique<Resolver>(Resolver{tcp::resolver(context_.worker.io), {}, 0});
  boost::system::error_code error;
  const auto literal = boost::asio::ip::make_address(address.host, error);
  if (!error) {
    resolver_->endpoints.emplace_back(literal, address.port);
    return connect_next();
  }
  resolver_->resolver.async_resolve(
      address.host, std::to_string(address.port),
      [this](const boost::system::error_code& failure, const tcp::resolver::results_type& results) {
        if (failure == boost::asio::error::operation_aborted) return;
        if (failure) return lose(failure.message());
        for (const auto& result : results) resolver_->endpoints.push_back(result.endpoint());
        connect_next();
      });
}

void Lane::connect_next() {
  std::error_code error = std::make_error_code(std::errc::address_not_available);
  while (resolver_->next < resolver_->endpoints.size()) {
    const tcp::endpoint& endpoint = resolver_->endpoints[resolver_->next++];
    socket_ = start_connect(*endpoint.data(), static_cast<std::uint32_t>(endpoint.size()), error);
    if (error) continue;
    state_ = State::connecting;
    return context_.worker.poller.add(socket_.get(), EPOLLOUT, *this);
  }
  lose(error.message());
}

void Lane::connected() {
  if (const std::error_code error = connect_error(socket_.get())) {
    context_.worker.poller.remove(socket_.get(), *this);
    if (resolver_ == nullptr || resolver_->next == resolver_->endpoints.size()) return lose(error.message());
    return connect_next();
  }
  resolver_.reset();
  in_.clear();
  state_ = State::greeting;
  handshake_ = std::make_unique<Handshake>(
      context_.address, Handshake::Wishes{purpose_.protocol, purpose_.db, purpose_.tracking,
                                          context_.worker.owner.wants_commands()});
  const Bytes& request = handshake_->request();
  // A fresh socket takes a few hundred bytes at once.
  const ssize_t count = ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
  if (count != static_cast<ssize_t>(request.size())) return lose("it does not take the first request");
  context_.worker.poller.modify(socket_.get(), EPOLLIN, *this);
}

void Lane::greet(ByteView reply) {
  switch (handshake_->take(reply)) {
    case Handshake::Outcome::more:
      return;
    case Handshake::Outcome::done:
      return become_ready();
    case Handshake::Outcome::refused:
      return lose(handshake_->refusal());
  }
}

void Lane::become_ready() {
  state_ = State::ready;
  failures_ = 0;
  tracked_ = handshake_->tracks();
  swapdb_calls_ = handshake_->swapdb_calls();
  problem_.clear();
  if (context_.health.set_problem({})) log::info("redis: {} is back", context_.label);
  context_.worker.statistics.lanes_ready.fetch_add(1, std::memory_order_relaxed);
  if (was_ready_) context_.worker.statistics.reconnects.add();
  was_ready_ = true;
  context_.worker.owner.on_ready(*this, *handshake_);
  handshake_.reset();
  if (!out_.empty()) schedule_flush();
}

// --- requests ---

void Lane::expect(InFlight request) {
  if (!flush_scheduled_) batch_us_ = steady_now_us();
  request.sent_us = batch_us_;
  in_flight_.push_back(request);
  context_.worker.statistics.in_flight.fetch_add(1, std::memory_order_relaxed);
  schedule_flush();
}

void Lane::schedule_flush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  context_.worker.poller.at_end_of_batch([this] {
    flush_scheduled_ = false;
    flush();
  });
}

void Lane::flush() {
  if (state_ != State::ready) return;
  while (sent_ < out_.size()) {
    const ssize_t count = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return want_output(true);
    if (count < 0) return lose(std::generic_category().message(errno));
    sent_ += static_cast<std::size_t>(count);
  }
  empty_buffer(out_);
  sent_ = 0;
  want_output(false);
}

void Lane::want_output(bool wanted) {
  if (wanted == output_wanted_) return;
  output_wanted_ = wanted;
  context_.worker.poller.modify(socket_.get(), wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
}

// --- replies ---

void Lane::on_ready(std::uint32_t events) {
  if (state_ == State::connecting) return connected();
  if (events & EPOLLOUT) flush();
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive();
}

void Lane::receive() {
  for (int turn = 0; turn < kReadsPerTurn && socket_; ++turn) {
    const ssize_t count = ::recv(socket_.get(), scratch().data(), scratch().size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) return lose(std::generic_category().message(errno));
    if (count == 0) return lose("it closed the connection");
    heard_us_ = steady_now_us();
    in_doubt_ = false;
    take_input({scratch().data(), static_cast<std::size_t>(count)});
    if (static_cast<std::size_t>(count) < scratch().size()) return;
  }
}

void Lane::take_input(ByteView received) {
  if (in_.empty()) {
    in_.assign(received.substr(take_replies(received)));
    return;
  }
  in_.append(received);
  in_.erase(0, take_replies(in_));
  if (in_.empty()) empty_buffer(in_);
}

/// Hands out the whole replies at the front of `input`; returns how many bytes they took.
std::size_t Lane::take_replies(ByteView input) {
  std::size_t taken = 0;
  while (socket_ && taken < input.size()) {
    const auto status = framer_.parse(input.substr(taken));
    if (!status) {
      lose("it sent something that is not RESP");
      break;
    }
    if (*status == ReplyFramer::Status::need_more) break;
    const Reply reply{input.substr(taken, framer_.size()), framer_.type(), framer_.has_null()};
    taken += framer_.size();
    take_reply(reply);
  }
  return taken;
}

void Lane::take_reply(const Reply& reply) {
  if (reply.type == '>') return context_.worker.owner.on_push(*this, reply.bytes);
  if (state_ == State::greeting) return greet(reply.bytes);
  if (in_flight_.empty()) return lose("it sent a reply that nobody asked for");
  InFlight request = in_flight_.front();
  request.replies_left = --in_flight_.front().replies_left;
  if (request.replies_left == 0) {
    context_.worker.statistics.in_flight.fetch_sub(1, std::memory_order_relaxed);
    context_.worker.statistics.latency.record(heard_us_ - request.sent_us);
    if (request.expired) forget_expired();
    if (request.kind == InFlight::Kind::ping) ping_in_flight_ = false;
    in_flight_.pop_front();
  }
  context_.worker.owner.on_reply(*this, request, reply);
}

void Lane::forget_expired() noexcept {
  --expired_;
  context_.worker.statistics.orphans.fetch_sub(1, std::memory_order_relaxed);
}

// --- losing it ---

void Lane::close() {
  if (socket_) context_.worker.poller.remove(socket_.get(), *this);
  if (state_ == State::ready) context_.worker.statistics.lanes_ready.fetch_sub(1, std::memory_order_relaxed);
  socket_.reset();
  resolver_.reset();
  handshake_.reset();
  state_ = State::closed;
  tracked_ = false;
  output_wanted_ = false;
  ping_in_flight_ = false;
}

void Lane::lose(std::string problem) {
  const bool was_up = state_ == State::ready;
  close();
  framer_.reset();
  empty_buffer(out_);
  sent_ = 0;
  // A connection that worked is opened again at once; one that did not is given time.
  retry_at_us_ = steady_now_us() + (was_up ? 0 : retry_delay_us(failures_++));
  problem_ = std::move(problem);
  if (context_.health.set_problem(problem_))
    log::warning("redis: no connection to {}: {}", context_.label, problem_);
  context_.worker.owner.on_doubt(*this);
  fail_all(was_up ? LaneOwner::Fate::unknown : LaneOwner::Fate::never_sent);
}

void Lane::fail_all(LaneOwner::Fate fate) {
  while (!in_flight_.empty()) {
    const InFlight request = in_flight_.front();
    if (request.expired) forget_expired();
    in_flight_.pop_front();
    context_.worker.statistics.in_flight.fetch_sub(1, std::memory_order_relaxed);
    context_.worker.owner.on_lost(*this, request, fate);
  }
}

// --- deadlines ---

void Lane::tick(std::int64_t now_us) {
  if (state_ == State::closed && now_us >= retry_at_us_) return open();
  if (state_ == State::closed) return;
  if (state_ != State::ready) {
    if (now_us >= open_deadline_us_) lose("it does not answer");
    return;
  }
  expire_requests(now_us);
  check_life(now_us);
}

void Lane::expire_requests(std::int64_t now_us) {
  const std::int64_t limit = now_us - micros(context_.worker.options.command_timeout);
  while (expired_ < in_flight_.size() && in_flight_[expired_].sent_us <= limit) {
    InFlight& request = in_flight_[expired_++];
    request.expired = true;
    context_.worker.statistics.orphans.fetch_add(1, std::memory_order_relaxed);
    if (request.kind == InFlight::Kind::ping) continue;
    context_.worker.statistics.timeouts.add();
    const InFlight copy = request;
    context_.worker.owner.on_timeout(*this, copy);
  }
}

/// A silent connection is asked for a sign of life, a tracked one in any case. Every reply is such a sign.
void Lane::check_life(std::int64_t now_us) {
  const Options& options = context_.worker.options;
  const std::int64_t quiet_since_us = purpose_.tracking ? pinged_us_ : heard_us_;
  if (!ping_in_flight_ && now_us - quiet_since_us >= micros(options.ping_interval)) ping(now_us);
  if (in_flight_.empty()) return;
  const std::int64_t silent_us = now_us - std::max(heard_us_, in_flight_.front().sent_us);
  if (silent_us >= micros(options.ping_timeout) && !in_doubt_) {
    in_doubt_ = true;
    context_.worker.owner.on_doubt(*this);
  }
  // A command may take its time, and it blocks Redis as a whole: a ping is not waited for that long.
  const bool only_ping = in_flight_.size() == 1 && in_flight_.front().kind == InFlight::Kind::ping;
  const auto patience =
      options.ping_timeout + (only_ping ? std::chrono::milliseconds(0) : options.command_timeout);
  if (silent_us >= micros(patience)) lose("it does not answer");
}

void Lane::ping(std::int64_t now_us) {
  pinged_us_ = now_us;
  ping_in_flight_ = true;
  if (purpose_.tracking)
    out_.append(kAskStatistics);
  else
    append_request(out_, {"PING"});
  InFlight request;
  request.kind = InFlight::Kind::ping;
  expect(request);
}

}  // namespace larder::redis
