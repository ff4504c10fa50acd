#include "server/session.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/dispatch.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/worker.h"
#include "value/number.h"

namespace larder {
namespace {

constexpr std::size_t kReadStep = 16 * 1024;
constexpr std::size_t kLargestReadStep = 1 << 20;

log::Rate failed_handshakes;

}  // namespace

Session::Session(Worker& worker, int fd, ClientIdentity identity)
    : worker_(worker),
      transport_(UniqueFd(fd)),
      identity_(std::move(identity)),
      last_active_us_(steady_now_us()) {
  state.authenticated = worker_.server().password().empty();
  db_ = worker_.server().tier().first_db();
  wanted_ = EPOLLIN;
  worker_.poller().add(fd, wanted_, *this);
  if (identity_.is_tls) transport_.secure(*worker_.server().tls());
}

Session::~Session() {
  close();
}

void Session::close() {
  if (is_closed()) return;
  worker_.poller().remove(transport_.fd(), *this);
  transport_.close();
  if (state.monitoring) {
    --worker_.monitors;
    --worker_.server().monitors;
  }
  worker_.hub().remove_all(*this);
  tracking.reset();
  if (holds.any()) worker_.backend().abandon(*this);
  count_wait();
  if (pending() == 0) worker_.release(*this);
}

void Session::on_ready(std::uint32_t events) {
  if (transport_.is_shaking_hands()) return shake_hands();
  if (transport_.receives_after_output()) events |= EPOLLIN;
  if (events & EPOLLOUT) settle();  // requests may have waited for the room
  if (is_closed() || !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
  if (may_go_on() && !draining_) return read();
  // A dead connection is reported again and again, wanted or not; one that only has more requests is asked
  // later.
  if (events & (EPOLLHUP | EPOLLERR)) return close();
  // A client that waits may wait for long: when it has gone what it waits with is given back, as Redis does
  // it.
  if (holds.blocked && (events & EPOLLRDHUP)) return close();
  const std::uint32_t its_end = holds.blocked ? static_cast<std::uint32_t>(EPOLLRDHUP) : 0;
  want((wanted_ & ~static_cast<std::uint32_t>(EPOLLIN | EPOLLRDHUP)) | its_end);
}

/// The beginning of a TLS connection.
void Session::shake_hands() {
  switch (transport_.shake_hands()) {
    case Transport::Handshake::done:
    case Transport::Handshake::wants_input:
      return want(EPOLLIN);
    case Transport::Handshake::wants_output:
      return want(EPOLLOUT);
    case Transport::Handshake::hung_up:
      return close();
    case Transport::Handshake::failed:
      log::warning_at(failed_handshakes, "client {} closed in its handshake: {}", identity_.address,
                      transport_.problem());
      return close();
  }
}

// --- bytes in ---

void Session::read() {
  if (in_.empty())
    read_into_scratch();
  else
    read_into_buffer();
  if (!is_closed()) settle();
}

/// The usual case: whole requests, parsed where they were read.
void Session::read_into_scratch() {
  const std::span<char> scratch = worker_.scratch();
  const ssize_t count = transport_.receive(scratch);
  if (!received(count)) return;
  const ByteView input(scratch.data(), static_cast<std::size_t>(count));
  const std::size_t consumed = process(input);
  if (!is_closed()) keep(input.substr(consumed));
}

/// Behind an unfinished request: grows with what has arrived, up to what the bulk at hand still needs.
void Session::read_into_buffer() {
  // What was announced costs nothing: memory follows what has arrived.
  const std::size_t most = std::clamp(in_.size(), kReadStep, kLargestReadStep);
  const std::size_t step = std::clamp(parser_.missing_bytes(), kReadStep, most);
  const std::size_t old_size = in_.size();
  in_.resize(old_size + step);
  const ssize_t count = transport_.receive({in_.data() + old_size, step});
  in_.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (received(count) && !drop_if_too_long()) process_buffer();
}

bool Session::received(ssize_t count) {
  if (count > 0) {
    worker_.statistics().bytes_in.add(static_cast<std::uint64_t>(count));
    return true;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count < 0 && errno == EPROTO)
    log::warning("client {} closed: {}", identity_.address, transport_.problem());
  count == 0 ? end_input() : close();
  return false;
}

/// The client sends nothing more (`printf … | nc -N`) and gets what it has asked for, and that may still
/// stand in `in_`: settle() closes.
void Session::end_input() {
  draining_ = true;
  want(wanted_ & ~static_cast<std::uint32_t>(EPOLLIN | EPOLLRDHUP));
}

void Session::keep(ByteView rest) {
  if (rest.empty()) return;
  if (in_.capacity() == 0) in_ = worker_.take_buffer();
  in_.assign(rest);
}

void Session::process_buffer() {
  const std::size_t consumed = process(in_);
  if (is_closed()) return;
  in_.erase(0, consumed);
  if (in_.empty()) drop_buffers();
}

bool Session::may_go_on() const noexcept {
  return !held_ && !paused_ && !closing_ && output_.has_room(pending());
}

/// Runs all whole requests of `input`; returns how many bytes are done with.
std::size_t Session::process(ByteView input) {
  std::size_t position = 0;
  worker_.refresh_clock();
  last_active_us_ = worker_.now_us();
  accounting_.start(last_active_us_);
  while (may_go_on() && !is_closed()) {
    const RequestLimits limits{worker_.server().live.max_bulk_bytes.load(std::memory_order_relaxed),
                               state.authenticated};
    const auto status = parser_.parse(input.substr(position), limits);
    if (!status) {
      protocol_error(static_cast<Errc>(status.error().value()));
      return input.size();
    }
    if (*status == RequestParser::Status::need_more) break;
    const ByteView raw = input.substr(position, parser_.consumed());
    if (*status == RequestParser::Status::ready && run(raw) == Step::hold) break;
    position += raw.size();
  }
  accounting_.close();
  return closing_ ? input.size() : position;
}

void Session::protocol_error(Errc code) {
  worker_.statistics().protocol_errors.add();
  ReplyWriter reply(queue_.tail(), protocol_);
  if (code == Errc::expected_dollar)
    reply.error(fmt::format("ERR Protocol error: expected '$', got '{}'", parser_.unexpected_byte()));
  else
    append_error(reply, code);
  closing_ = true;
}

// --- requests ---

Step Session::run(ByteView raw) {
  if (output_.wants_buffer() && queue_.empty()) output_.bytes() = worker_.take_buffer();
  Bytes& tail = queue_.tail();
  const std::size_t start = tail.size();
  ReplyWriter reply(tail, protocol_);
  Request request{nullptr, parser_.argv(), raw, worker_.now_ms(), *this, reply};
  if (parser_.is_inline()) request.raw = worker_.encode(request.argv);
  current_ = &request;
  const std::optional<Step> outcome = dispatch(*this, request);
  const Step step = outcome.value_or(Step::done);
  current_ = nullptr;
  if (step == Step::hold) {
    if (pending() == 0 && !paused_) {  // no answer will wake it
      paused_ = true;
      worker_.retry_at_tick(*this);
    }
    held_ = !paused_;
    return step;
  }
  was_shown = false;
  // The client waits for it, and so do the requests behind it.
  if (step == Step::blocking) held_ = true;
  if (tracking != nullptr) [[unlikely]]
    end_caching(request);
  last_command_ = request.spec;
  if (!outcome) {
    refuse(request, start);
    return step;
  }
  worker_.statistics().commands.add();
  if (step == Step::done) account(request, start);
  return step;
}

/// CLIENT CACHING is about the next command, or the next transaction.
void Session::end_caching(const Request& request) noexcept {
  const bool is_client = request.spec != nullptr && request.spec->name.starts_with("client|");
  if (state.transaction == nullptr && !is_client) tracking->caching_said = false;
}

std::int64_t Session::tracking_redirect() const noexcept {
  return tracking == nullptr ? -1 : static_cast<std::int64_t>(tracking->options().redirect);
}

void Session::drop_transaction() {
  state.transaction.reset();
  worker_.backend().unwatch(*this);
}

/// Once a request was answered at once.
void Session::account(const Request& request, std::size_t reply_start) {
  accounting_.answered(request, queue_.tail(), reply_start);
  if (state.reply_mode != ReplyMode::on) [[unlikely]]
    take_back(reply_start);
}

/// It was not run: that is no call.
void Session::refuse(const Request& request, std::size_t reply_start) {
  accounting_.refused(request, ByteView(queue_.tail()).substr(reply_start));
  if (state.reply_mode != ReplyMode::on) [[unlikely]]
    take_back(reply_start);
}

/// CLIENT REPLY: the client does not want it.
void Session::take_back(std::size_t reply_start) {
  queue_.tail().resize(reply_start);
  if (state.reply_mode == ReplyMode::skip) state.reply_mode = ReplyMode::on;
  if (state.reply_mode == ReplyMode::skip_next) state.reply_mode = ReplyMode::skip;
}

// --- deferred replies ---

Ticket Session::defer() {
  if (reserved_ != kNoTicket) return std::exchange(reserved_, kNoTicket);
  ReplyQueue::Place place = accounting_.place_for(*current_);
  place.discard = state.reply_mode != ReplyMode::on;
  if (state.reply_mode == ReplyMode::skip) state.reply_mode = ReplyMode::on;
  return last_ticket_ = queue_.defer(std::move(place));
}

ReplyWriter Session::reply_to(Ticket ticket) {
  return {queue_.bytes(ticket), queue_.place(ticket).protocol};
}

void Session::finish(Ticket ticket) {
  accounting_.finished(queue_.place(ticket), queue_.reply(ticket));
  output_.adapt_most_pending(queue_.bytes(ticket).size());
  queue_.finish(ticket);
  if (tracking != nullptr) [[unlikely]]
    tracking->finished(ticket, std::exchange(is_heard_of, false));
  if (!is_closed())
    worker_.mark_dirty(*this);
  else if (pending() == 0)
    worker_.release(*this);
}

/// A wait begins and ends in the backend.
void Session::count_wait() {
  if (counts_as_blocked_ == holds.blocked) return;
  counts_as_blocked_ = holds.blocked;
  auto& blocked = worker_.statistics().blocked;
  counts_as_blocked_ ? ++blocked : --blocked;
}

void Session::settle() {
  flush();
  while (!is_closed() && (held_ || !in_.empty()) && can_resume()) {
    held_ = false;
    const std::size_t before = in_.size();
    process_buffer();
    flush();
    if (in_.size() == before) break;  // the rest of a request has still to arrive
  }
  if (is_closed()) return;
  count_wait();
  if ((closing_ || (draining_ && !held_ && !paused_)) && pending() == 0 && unsent() == 0) return close();
  if (may_go_on() && !draining_) want(wanted_ | EPOLLIN);
}

bool Session::can_resume() const noexcept {
  return !paused_ && !closing_ && (!held_ || pending() == 0) && output_.has_room(pending());
}

// --- EXEC ---

void Session::append(ByteView part) {
  if (state.reply_mode == ReplyMode::on) queue_.tail().append(part);
}

void Session::run_queued(const CommandSpec& spec, ByteView raw) {
  RequestParser parser;
  if (!parser.parse(raw, {.max_bulk_bytes = INT64_MAX})) return;
  Bytes& tail = queue_.tail();
  const std::size_t start = tail.size();
  ReplyWriter reply(tail, protocol_);
  const Request request{&spec, parser.argv(), raw, worker_.now_ms(), *this, reply};
  current_ = &request;
  accounting_.start(steady_now_us());
  const Step step = find_connection_handler(spec)(*this, request);
  current_ = nullptr;
  if (step == Step::done)
    account(request, start);
  else
    open_array_ = last_ticket_;
}

void Session::run_at(Ticket ticket, const CommandSpec& spec, ByteView raw) {
  RequestParser parser;
  if (is_closed() || !parser.parse(raw, {.max_bulk_bytes = INT64_MAX})) return finish(ticket);
  ReplyWriter reply = reply_to(ticket);
  const Request request{&spec, parser.argv(), raw, worker_.now_ms(), *this, reply};
  current_ = &request;
  reserved_ = ticket;
  const Step step = find_connection_handler(spec)(*this, request);
  current_ = nullptr;
  reserved_ = kNoTicket;
  if (step == Step::done) finish(ticket);
}

void Session::follow_select(ByteView raw) {
  RequestParser parser;
  if (!parser.parse(raw, {})) return;
  if (const auto index = parse_integer(parser.argv()[1])) set_db(static_cast<int>(*index));
}

// --- bytes out ---

void Session::flush() {
  switch (output_.send(transport_, worker_.statistics().bytes_out)) {
    case Output::Sent::all:
      if (queue_.empty()) worker_.give_buffer(std::exchange(output_.bytes(), Bytes()));
      return want(wanted_ & ~static_cast<std::uint32_t>(EPOLLOUT));
    case Output::Sent::some:
      return want(wanted_ | EPOLLOUT);
    case Output::Sent::broken:
      return close();
  }
}

void Session::want(std::uint32_t events) {
  if (transport_.receives_after_output()) events = EPOLLOUT;
  if (is_closed() || events == wanted_) return;
  wanted_ = events;
  worker_.poller().modify(transport_.fd(), wanted_, *this);
}

void Session::drop_buffers() {
  worker_.give_buffer(std::exchange(in_, Bytes()));
  parser_.shrink();
}

void Session::send_behind(ByteView bytes) {
  queue_.tail().append(bytes);
  worker_.mark_dirty(*this);
}

/// `output_` ends with a whole reply, but for EXEC's while one of its parts is waited for.
void Session::push(ByteView bytes) {
  if (is_closed()) return;
  (queue_.holds(open_array_) ? queue_.tail() : output_.bytes()).append(bytes);
  worker_.mark_dirty(*this);
  if (!output_.exceeds_hard(output_bounds())) return;
  log_unread();
  close();
}

void Session::hang_up() {
  close_after_replies();
  worker_.mark_dirty(*this);
}

// --- life ---

void Session::pause() {
  paused_ = true;
  worker_.park(*this);
}

void Session::resume() {
  paused_ = false;
  settle();
}

void Session::finish_and_close() {
  if (is_closed()) return;
  if (transport_.is_shaking_hands()) return close();
  if (holds.blocked) return close();  // as in Redis: nobody knows when it would be answered
  // What the client had sent by now is still read and answered.
  if (may_go_on() && in_.empty()) read_into_scratch();
  if (is_closed()) return;
  draining_ = true;
  want(wanted_ & ~static_cast<std::uint32_t>(EPOLLIN));
  settle();
}

void Session::limit_handshake(std::int64_t now_us) {
  const std::chrono::microseconds patience = worker_.server().tls()->options().handshake_timeout;
  if (now_us - last_active_us_ <= patience.count()) return;
  log::warning_at(failed_handshakes, "client {} closed: its TLS handshake takes too long", identity_.address);
  close();
}

void Session::check_limits(std::int64_t now_us) {
  const LiveSettings& live = worker_.server().live;
  if (transport_.is_shaking_hands()) return limit_handshake(now_us);
  const std::int64_t timeout_s = live.idle_timeout_s.load(std::memory_order_relaxed);
  if (timeout_s > 0 && !state.monitoring && !holds.subscribed.any() && pending() == 0 &&
      now_us - last_active_us_ > timeout_s * 1'000'000)
    return close();
  if (output_.exceeds(output_bounds(), now_us)) {
    log_unread();
    return close();
  }
  drop_if_too_long();  // the limit may be new
}

/// Closes the connection when what has arrived of a request is more than the query buffer may hold.
bool Session::drop_if_too_long() {
  const std::uint64_t most = worker_.server().live.query_buffer_limit.load(std::memory_order_relaxed);
  if (in_.size() + parser_.heap_bytes() <= most) return false;
  log::warning("client {} closed: its request exceeds the query buffer limit", identity_.address);
  close();
  return true;
}

void Session::log_unread() const {
  log::warning("client {} closed: {} bytes of unread replies exceed the output buffer limit",
               identity_.address, unsent());
}

const OutputBounds& Session::output_bounds() const noexcept {
  const LiveSettings& live = worker_.server().live;
  return state.monitoring || holds.subscribed.any() ? live.pubsub_output : live.normal_output;
}

Session::Usage Session::usage() const noexcept {
  const CommandSpec* const command = current_ != nullptr ? current_->spec : last_command_;
  return {.fd = transport_.fd(),
          .idle_us = steady_now_us() - last_active_us_,
          .input_bytes = in_.size(),
          .input_capacity = in_.capacity(),
          .parser_bytes = parser_.heap_bytes(),
          .output_capacity = output_.capacity(),
          .waits_for_room = (wanted_ & EPOLLOUT) != 0,
          .command = command != nullptr ? command->name : accounting_.unlisted()};
}

void Session::reset_state() {
  if (state.monitoring) {
    --worker_.monitors;
    --worker_.server().monitors;
  }
  worker_.hub().remove_all(*this);
  tracking.reset();
  if (holds.any()) worker_.backend().abandon(*this);
  state = State();
  acts_as.reset();
  state.authenticated = worker_.server().password().empty();
  db_ = worker_.server().tier().first_db();
  protocol_ = Protocol::resp2;
}

}  // namespace larder
