#include "backend/redis/lane.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <sys/epoll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

#include "backend/redis/subscription.h"
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
constexpr std::size_t kLargestRequest = std::size_t{512} << 20;
constexpr std::string_view kSilent = "it does not answer";

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

/// On a connection that nobody else uses the gate costs nobody anything.
Lane::BlockGuard first_guard(const Lane::Purpose& purpose) noexcept {
  return purpose.is_private ? Lane::BlockGuard::gate : Lane::BlockGuard::unknown;
}

/// Where sockets are read into; what is unfinished moves to the lane's own buffer.
std::array<char, kReadBytes>& scratch() {
  static thread_local std::array<char, kReadBytes> bytes;
  return bytes;
}

/// Nobody waits for the answer, and it is asked for again.
bool asks_for_larder(InFlight::Kind kind) noexcept {
  return kind == InFlight::Kind::ping || kind == InFlight::Kind::tagged || kind == InFlight::Kind::rights;
}

}  // namespace

struct Lane::Resolver {
  tcp::resolver resolver;
  std::vector<tcp::endpoint> endpoints;
  std::size_t next = 0;
};

Lane::Lane(const LaneContext& context, const Purpose& purpose)
    : context_(context), purpose_(purpose), block_guard_(first_guard(purpose)) {}

Lane::~Lane() {
  close();
}

// --- opening ---

bool Lane::is_held_up() const noexcept {
  constexpr std::int64_t kLongUs = 20'000;
  return state_ == State::ready && !in_flight_.empty() &&
         steady_now_us() - in_flight_.front().sent_us > kLongUs;
}

ByteView Lane::refusal() {
  if (!may_be_used()) {
    refusal_ = fmt::format("ERR Redis at {} cannot be reached: {}; its circuit breaker is open",
                           context_.label, problem_.empty() ? kSilent : problem_);
    return refusal_;
  }
  if (state_ == State::closed && steady_now_us() >= retry_at_us_) open();
  if (state_ == State::closed) {
    refusal_ = fmt::format("{} Redis at {} cannot be reached: {}", error_class(), context_.label, problem_);
    return refusal_;
  }
  // Who can wait does (has_room_for()), behind one very large request too.
  if (in_flight_bytes_ <= 2 * context_.worker.options.most_in_flight_bytes + kLargestRequest) return {};
  refusal_ =
      fmt::format("ERR Redis at {} does not keep up: too much is waiting for its answer", context_.label);
  return refusal_;
}

void Lane::open() {
  login_refused_ = false;
  const Options& options = context_.worker.options;
  // A busy server takes its time to say even that.
  open_deadline_us_ =
      steady_now_us() + micros(purpose_.kills ? options.command_timeout : options.connect_timeout);
  const config::RedisAddress& address = context_.address;
  if (address.path.empty()) return resolve();
  std::error_code error;
  socket_ = Transport(start_connect_unix(address.path, error));
  if (error) return lose(error.message());
  state_ = State::connecting;
  context_.worker.poller.add(socket_.fd(), EPOLLOUT, *this);
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
    socket_ = Transport(start_connect(*endpoint.data(), static_cast<std::uint32_t>(endpoint.size()), error));
    if (error) continue;
    state_ = State::connecting;
    return context_.worker.poller.add(socket_.fd(), EPOLLOUT, *this);
  }
  lose(error.message());
}

void Lane::connected() {
  if (const std::error_code error = connect_error(socket_.fd())) {
    context_.worker.poller.remove(socket_.fd(), *this);
    if (resolver_ == nullptr || resolver_->next == resolver_->endpoints.size()) return lose(error.message());
    return connect_next();
  }
  resolver_.reset();
  in_.clear();
  if (context_.address.tls) return secure();
  send_greeting();
}

void Lane::secure() {
  state_ = State::securing;
  socket_.secure(*context_.worker.options.tls, context_.address.host);
  shake_hands();
}

void Lane::shake_hands() {
  switch (socket_.shake_hands()) {
    case Transport::Handshake::done:
      return send_greeting();
    case Transport::Handshake::wants_input:
      return context_.worker.poller.modify(socket_.fd(), EPOLLIN, *this);
    case Transport::Handshake::wants_output:
      return context_.worker.poller.modify(socket_.fd(), EPOLLOUT, *this);
    case Transport::Handshake::hung_up:
    case Transport::Handshake::failed:
      return lose(socket_.problem());
  }
}

/// The address, with the user that this connection is of.
config::RedisAddress Lane::login() const {
  config::RedisAddress address = context_.address;
  if (purpose_.user == nullptr) return address;
  address.user = purpose_.user->user;
  address.password = purpose_.user->password;
  return address;
}

void Lane::send_greeting() {
  state_ = State::greeting;
  const Handshake::Wishes wishes{
      purpose_.protocol,   purpose_.db,
      purpose_.tracking,   speaks_for_node() && context_.worker.owner.wants_commands(),
      purpose_.standing,   context_.password_setting,
      purpose_.is_door,    purpose_.kills,
      purpose_.is_private, purpose_.is_reader,
      purpose_.hears_all};
  handshake_ = std::make_unique<Handshake>(login(), wishes);
  const Bytes& request = handshake_->request();
  // A fresh socket takes a few hundred bytes at once.
  const ssize_t count = socket_.send(request);
  // With TLS 1.3 a server refuses a client after its handshake: receive() will say why.
  const bool refused = count < 0 && socket_.is_secured();
  if (!refused && count != static_cast<ssize_t>(request.size()))
    return lose("it does not take the first request");
  context_.worker.poller.modify(socket_.fd(), EPOLLIN, *this);
}

void Lane::greet(ByteView reply) {
  switch (handshake_->take(reply)) {
    case Handshake::Outcome::more:
      return;
    case Handshake::Outcome::done:
      return become_ready();
    case Handshake::Outcome::refused:
      note_login(handshake_->login_refused());
      return lose(handshake_->refusal());
  }
}

void Lane::note_login(bool refused) noexcept {
  login_refused_ = refused;
  if (purpose_.user != nullptr) purpose_.user->is_refused = refused;
}

void Lane::become_ready() {
  state_ = State::ready;
  note_login(false);
  failures_ = 0;
  tracked_ = handshake_->tracks();
  swapdb_calls_ = handshake_->swapdb_calls();
  client_id_ = handshake_->client_id();
  told_until_us_ = steady_now_us();  // of what was read over it there is nothing yet
  if (block_guard_ != BlockGuard::probation) block_guard_ = first_guard(purpose_);
  problem_.clear();
  if (is_own() && context_.health.set_problem(context_.label, {}))
    log::info("redis: {} is back", context_.label);
  count_success();
  context_.statistics.connections.fetch_add(1, std::memory_order_relaxed);
  if (was_ready_) context_.worker.statistics.reconnects.add();
  was_ready_ = had_connection_ = true;
  context_.worker.owner.on_trust(*this);
  context_.worker.owner.on_ready(*this, *handshake_);
  handshake_.reset();
  if (!out_.empty() || !batch_.empty()) schedule_flush();
}

// --- requests ---

void Lane::expect(InFlight request) {
  request.bytes = static_cast<std::uint32_t>(out_.size() - expected_);
  expected_ = out_.size();
  in_flight_bytes_ += request.bytes;
  queue(request);
}

void Lane::expect_in_batch(InFlight request) {
  request.bytes = 0;
  request.batched = true;
  queue(request);
}

/// The first request of the batch stands for its bytes.
void Lane::end_batch() {
  if (batch_.empty()) return;
  const std::size_t size = batch_.size();
  batch_.append_to(out_);
  InFlight& first = in_flight_[in_flight_.size() - size];
  first.followers = static_cast<std::uint32_t>(size - 1);
  first.bytes = static_cast<std::uint32_t>(out_.size() - expected_);
  in_flight_bytes_ += first.bytes;
  expected_ = out_.size();
}

void Lane::queue(InFlight& request) {
  if (!flush_scheduled_) batch_us_ = steady_now_us();
  request.sent_us = request.patience_from_us = batch_us_;
  in_flight_.push_back(request);
  context_.statistics.requests.add();
  context_.statistics.in_flight.fetch_add(1, std::memory_order_relaxed);
  schedule_flush();
}

void Lane::schedule_flush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  context_.worker.poller.at_end_of_batch([this] {
    flush_scheduled_ = false;
    flush();
    if (is_behind()) context_.worker.poller.gather_events();
  });
}

/// Redis has so much to do that it gains nothing by getting the next request a little sooner.
bool Lane::is_behind() noexcept {
  constexpr std::int64_t kBehindUs = 400;
  return !in_flight_.empty() &&
         in_flight_[in_flight_.size() - 1].sent_us - in_flight_.front().sent_us >= kBehindUs;
}

void Lane::flush() {
  if (state_ != State::ready) return;
  end_batch();
  const std::size_t end = gates_.empty() ? out_.size() : gates_.front();
  while (sent_ < end) {
    const ssize_t count = socket_.send(ByteView(out_).substr(sent_, end - sent_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return want_output(true);
    if (count < 0) return lose(socket_.problem());
    if (output_wanted_) renew_patience(out_.size() - sent_);
    sent_ += static_cast<std::size_t>(count);
  }
  if (end == out_.size()) empty_output();
  want_output(false);
}

/// Some of the last `unsent` bytes have left: Redis cannot answer yet what is among them.
void Lane::renew_patience(std::size_t unsent) {
  const std::int64_t now_us = steady_now_us();
  for (std::size_t i = in_flight_.size(); i > 0 && unsent > 0; --i) {
    InFlight& request = in_flight_[i - 1];
    request.patience_from_us = now_us;
    unsent -= std::min<std::size_t>(unsent, request.bytes);
  }
}

/// While a reply is arriving, those behind it cannot.
bool Lane::is_overdue(const InFlight& request, std::int64_t limit_us) const noexcept {
  const bool arrives = !in_.empty();
  return !request.patient &&
         (arrives ? std::max(heard_us_, request.patience_from_us) : request.patience_from_us) <= limit_us;
}

void Lane::empty_output() {
  empty_buffer(out_);
  sent_ = expected_ = 0;
  gates_ = {};
}

void Lane::open_gate() {
  if (gates_.empty()) return;
  gates_.pop_front();
  schedule_flush();
}

void Lane::drop_behind_gate(std::size_t bytes) {
  out_.erase(gates_.front(), bytes);
  expected_ -= bytes;
  for (std::size_t i = 1; i < gates_.size(); ++i) gates_[i] -= bytes;
  in_flight_bytes_ -= in_flight_.front().bytes;
  context_.statistics.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (in_flight_.front().expired) forget_expired();
  in_flight_.pop_front();
  open_gate();
}

void Lane::want_output(bool wanted) {
  if (wanted == output_wanted_) return;
  output_wanted_ = wanted;
  context_.worker.poller.modify(socket_.fd(), wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
}

// --- replies ---

void Lane::on_ready(std::uint32_t events) {
  if (state_ == State::connecting) return connected();
  if (state_ == State::securing) return shake_hands();
  const std::uint32_t losses = losses_;
  if (events & EPOLLOUT) flush();
  if (losses == losses_ && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive();
}

void Lane::receive() {
  const std::uint32_t losses = losses_;
  for (int turn = 0; turn < kReadsPerTurn && losses == losses_; ++turn) {
    const ssize_t count = socket_.receive(scratch());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) return lose(socket_.problem());
    if (count == 0) return lose("it closed the connection");
    heard_us_ = steady_now_us();
    if (std::exchange(in_doubt_, false)) context_.worker.owner.on_trust(*this);
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
  const std::uint32_t losses = losses_;
  while (losses == losses_ && taken < input.size()) {
    const auto status = framer_.parse(input.substr(taken));
    if (!status) {
      lose("it sent something that is not RESP");
      break;
    }
    if (*status == ReplyFramer::Status::need_more) break;
    Reply reply{input.substr(taken, framer_.size()), framer_.type(), framer_.needs_resp3()};
    taken += framer_.size();
    take_reply(reply);
  }
  return taken;
}

void Lane::take_reply(Reply& reply) {
  if (is_unasked(reply)) return context_.worker.owner.on_push(*this, reply.bytes);
  if (state_ == State::greeting) return greet(reply.bytes);
  if (in_flight_.empty()) return lose("it sent a reply that nobody asked for");
  const std::uint32_t losses = losses_;
  for (std::uint32_t left = in_flight_.front().followers + 1; left > 0 && losses == losses_; --left)
    hand_out(reply);
}

/// To the request at the front.
void Lane::hand_out(Reply& reply) {
  InFlight request = in_flight_.front();
  std::uint32_t& left = in_flight_.front().replies_left;
  const bool is_refused = request.kind == InFlight::Kind::subscription && reply.type != '>';
  request.replies_left = left = is_refused ? 0 : left - 1;
  reply.took_us = heard_us_ - request.sent_us;
  reply.is_asked = request.is_asked;
  reply.tracked = tracked_ && !request.is_asked;
  if (request.replies_left == 0) {
    count_success();
    in_flight_bytes_ -= request.bytes;
    NodeStatistics& statistics = context_.statistics;
    statistics.in_flight.fetch_sub(1, std::memory_order_relaxed);
    if (!request.patient) statistics.latency.record(reply.took_us);
    if (reply.type == '-') statistics.errors.add();
    if (request.expired) forget_expired();
    if (request.kind == InFlight::Kind::ping) {
      ping_in_flight_ = false;
      told_until_us_ = pinged_us_;
    }
    in_flight_.pop_front();
  }
  context_.worker.owner.on_reply(*this, request, reply);
}

/// A push is none of the replies, but for those to commands that subscribe.
bool Lane::is_unasked(const Reply& reply) const noexcept {
  if (reply.type != '>') return false;
  if (in_flight_.empty() || in_flight_.front().kind != InFlight::Kind::subscription) return true;
  return !confirms(reply.bytes, static_cast<Subscription>(in_flight_.front().index));
}

void Lane::forget_expired() noexcept {
  --expired_;
  context_.worker.statistics.orphans.fetch_sub(1, std::memory_order_relaxed);
}

// --- losing it ---

void Lane::close() {
  if (socket_) context_.worker.poller.remove(socket_.fd(), *this);
  if (state_ == State::ready) context_.statistics.connections.fetch_sub(1, std::memory_order_relaxed);
  socket_.close();
  resolver_.reset();
  handshake_.reset();
  state_ = State::closed;
  knows_tag_scripts = false;
  takes_batches_ = true;
  tracked_ = false;
  output_wanted_ = false;
  ping_in_flight_ = false;
  in_doubt_ = false;
}

void Lane::lose(std::string problem, LaneOwner::Fate fate) {
  const bool was_up = state_ == State::ready;
  ++losses_;
  close();
  framer_.reset();
  batch_.clear();
  empty_output();
  // A connection that worked is opened again at once; one that did not is given time.
  retry_at_us_ = steady_now_us() + (was_up ? 0 : retry_delay_us(failures_++));
  problem_ = std::move(problem);
  if (fate != LaneOwner::Fate::not_run) tell_of_loss(was_up);
  context_.worker.owner.on_doubt(*this);
  had_connection_ = false;
  fail_all(was_up ? fate : LaneOwner::Fate::never_sent);
}

void Lane::tell_of_loss(bool was_up) {
  if (purpose_.is_reader && was_up)
    log::warning("redis: the replica {} is lost for reads: {}", context_.label, problem_);
  if (speaks_for_node() && context_.health.set_problem(context_.label, problem_))
    log::warning("redis: no connection to {}: {}", context_.label, problem_);
  count_failure();
}

void Lane::give_up() {
  if (state_ != State::ready && !in_flight_.empty()) lose("it serves nothing any more");
}

void Lane::cut(std::string why, LaneOwner::Fate fate) {
  if (state_ != State::closed) lose(std::move(why), fate);
}

void Lane::cut_at_block() {
  block_guard_ = BlockGuard::probation;
  cut("it refuses to begin a transaction", LaneOwner::Fate::not_run);
}

void Lane::fail_all(LaneOwner::Fate fate) {
  // The owner may send some of it again.
  Ring<InFlight> lost;
  std::swap(lost, in_flight_);
  in_flight_bytes_ = 0;
  for (std::size_t i = 0; i < lost.size() && fate == LaneOwner::Fate::unknown; ++i)
    if (lost[i].writes) context_.worker.owner.on_losing(lost[i]);
  for (; !lost.empty(); lost.pop_front()) {
    const InFlight& request = lost.front();
    if (request.expired) forget_expired();
    context_.statistics.in_flight.fetch_sub(1, std::memory_order_relaxed);
    context_.statistics.lost.add();
    context_.worker.owner.on_lost(*this, request, fate);
  }
}

// --- whether the node answers ---

void Lane::count_success() {
  if (!context_.breaker.succeeded()) return;
  if (context_.health.set_problem(context_.label, {})) log::info("redis: {} is back", context_.label);
}

void Lane::count_failure() {
  if (!speaks_for_node()) return;
  if (!context_.breaker.failed(steady_now_us())) return;
  const std::string problem = problem_.empty() ? std::string(kSilent) : problem_;
  if (context_.health.set_problem(context_.label, problem))
    log::warning("redis: {} is left alone for now: {}", context_.label, problem);
}

void Lane::probe(std::int64_t now_us) {
  if (state_ == State::closed) return open();
  if (state_ == State::ready && !ping_in_flight_) ping(now_us);
}

// --- deadlines ---

void Lane::tick(std::int64_t now_us, bool runs_script) {
  if (state_ == State::closed && now_us >= retry_at_us_ && context_.breaker.is_closed()) return open();
  if (state_ == State::closed) return;
  if (state_ != State::ready) {
    if (now_us >= open_deadline_us_)
      lose(state_ == State::securing ? "it does not answer the TLS handshake" : std::string(kSilent));
    return;
  }
  expire_requests(now_us);
  if (state_ == State::ready) check_life(now_us, runs_script);
}

void Lane::expire_requests(std::int64_t now_us) {
  const std::int64_t limit = now_us - micros(context_.worker.options.command_timeout);
  while (expired_ < in_flight_.size() && is_overdue(in_flight_[expired_], limit)) {
    InFlight& request = in_flight_[expired_++];
    request.expired = true;
    context_.worker.statistics.orphans.fetch_add(1, std::memory_order_relaxed);
    if (asks_for_larder(request.kind)) continue;
    context_.statistics.timeouts.add();
    count_failure();
    // Its client is told now, and may be gone before the late reply or the connection's end.
    const InFlight copy = request;
    request.caller = nullptr;
    context_.worker.owner.on_timeout(*this, copy);
  }
}

bool Lane::asks_for_larder_only() noexcept {
  for (std::size_t i = 0; i < in_flight_.size(); ++i)
    if (!asks_for_larder(in_flight_[i].kind)) return false;
  return true;
}

/// A silent connection is asked for a sign of life, a tracked one in any case. Every reply is such a sign.
void Lane::check_life(std::int64_t now_us, bool runs_script) {
  if (!in_flight_.empty() && in_flight_.front().patient) return;  // TCP tells of its end
  const Options& options = context_.worker.options;
  const std::int64_t quiet_since_us = purpose_.tracking ? pinged_us_ : heard_us_;
  if (!ping_in_flight_ && now_us - quiet_since_us >= micros(options.ping_interval)) ping(now_us);
  if (in_flight_.empty()) return;
  const std::int64_t silent_us = now_us - std::max(heard_us_, in_flight_.front().patience_from_us);
  // The master may know what a silent replica does not say.
  if (silent_us >= micros(options.ping_timeout) && purpose_.is_reader) return lose(std::string(kSilent));
  if (silent_us >= micros(options.ping_timeout) && !in_doubt_) {
    in_doubt_ = true;
    count_failure();
    context_.worker.owner.on_doubt(*this);
  }
  // A command may take its time, and it blocks Redis as a whole: a question of our own is not waited for that
  // long, unless it is a script on another connection that does.
  const bool only_own = !runs_script && asks_for_larder_only();
  const auto patience =
      options.ping_timeout + (only_own ? std::chrono::milliseconds(0) : options.command_timeout);
  if (silent_us >= micros(patience)) lose(std::string(kSilent));
}

void Lane::ping(std::int64_t now_us) {
  pinged_us_ = now_us;
  ping_in_flight_ = true;
  if (purpose_.tracking)
    output().append(kAskStatistics);
  else
    append_request(output(), {"PING"});
  InFlight request;
  request.kind = InFlight::Kind::ping;
  expect(request);
}

}  // namespace larder::redis
