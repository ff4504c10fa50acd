#include "server/session.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/monitor.h"
#include "server/redact.h"
#include "server/server.h"
#include "server/worker.h"

namespace larder {
namespace {

// A client that does not read is not read from: past these bounds its next requests wait in its socket.
constexpr std::size_t kMaxOutput = 1 << 20;
constexpr std::size_t kMaxPending = 256;
constexpr std::size_t kMinPending = 4;
constexpr std::size_t kLargeReply = 64 * 1024;

constexpr std::size_t kReadStep = 16 * 1024;
constexpr std::size_t kLargestReadStep = 1 << 20;
constexpr std::size_t kSlowlogRequestBytes = 256;  // of a pending request, kept in case it turns out slow

bool wants_default_ttl(const Request& request) {
  if (request.spec == nullptr || request.spec->name != "set") return false;
  const auto sets_expiry = [](ByteView option) {
    return equals_ignore_case(option, "ex") || equals_ignore_case(option, "px") ||
           equals_ignore_case(option, "exat") || equals_ignore_case(option, "pxat") ||
           equals_ignore_case(option, "keepttl");
  };
  return std::ranges::none_of(request.argv.subspan(3), sets_expiry);
}

/// The words by which an HTTP request shows itself: a web page may make a browser send one to this port.
bool is_http(ByteView name) {
  return equals_ignore_case(name, "post") || equals_ignore_case(name, "host:");
}

}  // namespace

Session::Session(Worker& worker, int fd, ClientIdentity identity)
    : worker_(worker), fd_(fd), identity_(std::move(identity)), last_active_us_(steady_now_us()) {
  state.authenticated = worker_.server().password().empty();
  db_ = worker_.server().tier().first_db();
  wanted_ = EPOLLIN;
  worker_.poller().add(fd_, wanted_, *this);
}

Session::~Session() {
  close();
}

void Session::close() {
  if (is_closed()) return;
  worker_.poller().remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
  if (state.monitoring) {
    --worker_.monitors;
    --worker_.server().monitors;
  }
  if (pending() == 0) worker_.release(*this);
}

void Session::on_ready(std::uint32_t events) {
  if (events & EPOLLOUT) settle();  // requests may have waited for the room
  if (is_closed() || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  if (may_go_on()) return read();
  // A dead connection is reported again and again, wanted or not; one that only has more requests is asked
  // later.
  if (events & (EPOLLHUP | EPOLLERR)) return close();
  want(wanted_ & ~static_cast<std::uint32_t>(EPOLLIN));
}

// --- bytes in ---

void Session::read() {
  worker_.refresh_clock();
  if (in_.empty())
    read_into_scratch();
  else
    read_into_buffer();
  if (!is_closed()) settle();
}

/// The usual case: whole requests, parsed where they were read.
void Session::read_into_scratch() {
  const std::span<char> scratch = worker_.scratch();
  const ssize_t count = ::recv(fd_, scratch.data(), scratch.size(), 0);
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
  const ssize_t count = ::recv(fd_, in_.data() + old_size, step, 0);
  in_.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (received(count)) process_buffer();
}

bool Session::received(ssize_t count) {
  if (count > 0) {
    worker_.statistics().bytes_in.add(static_cast<std::uint64_t>(count));
    return true;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  close();
  return false;
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
  return !held_ && !paused_ && !closing_ && out_.size() - sent_ <= kMaxOutput && pending() < most_pending_;
}

/// Runs all whole requests of `input`; returns how many bytes are done with.
std::size_t Session::process(ByteView input) {
  std::size_t position = 0;
  started_us_ = last_active_us_ = steady_now_us();
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
  if (out_.capacity() < kReadStep && queue_.empty() && out_.empty()) out_ = worker_.take_buffer();
  Bytes& tail = queue_.tail();
  const std::size_t start = tail.size();
  ReplyWriter reply(tail, protocol_);
  Request request{nullptr, parser_.argv(), raw, worker_.now_ms(), *this, reply};
  current_ = &request;
  const Step step = dispatch(request);
  current_ = nullptr;
  if (step == Step::hold) {
    held_ = !paused_;
    return step;
  }
  last_command_ = request.spec;
  worker_.statistics().commands.add();
  if (step == Step::done) account(request, start);
  return step;
}

Step Session::dispatch(Request& request) {
  Server& server = worker_.server();
  if (!resolve(request)) return Step::done;
  const CommandSpec* spec = request.spec;
  if (!state.authenticated && !(spec != nullptr && spec->flags.has(Flag::no_auth))) {
    request.reply.error("NOAUTH Authentication required.");
    return Step::done;
  }
  if (is_paused(request)) return Step::hold;
  if (server.monitors.load(std::memory_order_relaxed) > 0) show_monitors(request);
  if (spec != nullptr && spec->runner == Runner::connection) {
    if (const ConnectionHandler handler = find_connection_handler(*spec)) return handler(*this, request);
    append_unknown_command(request.reply, request.argv);
    return Step::done;
  }
  if (parser_.is_inline()) request.raw = encode(request.argv);
  if (server.settings().cache.default_ttl.count() > 0 && wants_default_ttl(request))
    return set_with_default_ttl(request);
  return worker_.backend().execute(request);
}

/// Finds the row and checks the arity; false when an error was answered.
bool Session::resolve(Request& request) {
  const CommandSpec* spec = find_command(request.argv[0]);
  if (spec == nullptr) {
    if (is_http(request.argv[0])) {
      log::warning("client {} closed: it speaks HTTP", identity_.address);
      close_after_replies();
      return false;
    }
    if (worker_.backend().forwards_unknown()) return true;
    append_unknown_command(request.reply, request.argv);
    return false;
  }
  if (spec->flags.has(Flag::container) && request.argv.size() > 1) {
    const CommandSpec* subcommand = find_subcommand(*spec, request.argv[1]);
    // On redis a subcommand that we do not know may exist there, unless the server runs the container itself.
    if (subcommand == nullptr && spec->runner != Runner::connection && worker_.backend().forwards_unknown())
      return true;
    if (subcommand == nullptr) {
      append_unknown_subcommand(request.reply, *spec, request.argv[1]);
      return false;
    }
    spec = subcommand;
  }
  if (!spec->accepts(request.argv.size())) {
    append_wrong_arity(request.reply, spec->name);
    worker_.statistics().of(spec).rejected.add();
    return false;
  }
  request.spec = spec;
  return true;
}

/// CLIENT PAUSE: the request waits, and the session with it, until the pause ends.
bool Session::is_paused(const Request& request) {
  Server& server = worker_.server();
  if (request.now_ms >= server.paused_until_ms.load(std::memory_order_relaxed)) return false;
  const bool is_write = request.spec == nullptr || request.spec->flags.has(Flag::write);
  const bool is_connection = request.spec != nullptr && request.spec->runner == Runner::connection;
  if (server.pause_writes_only.load(std::memory_order_relaxed) ? !is_write : is_connection) return false;
  paused_ = true;
  worker_.park(*this);
  return true;
}

void Session::show_monitors(const Request& request) {
  const bool hidden = request.spec != nullptr &&
                      (request.spec->flags.has(Flag::skip_monitor) || request.spec->flags.has(Flag::admin));
  if (hidden) return;
  worker_.server().show_monitors(monitor_line(redacted(request.argv), db_, identity_.address));
}

/// `[cache] default_ttl`: a plain SET is run, and forwarded, as if the client had written `PX ttl` behind it.
Step Session::set_with_default_ttl(Request request) {
  const std::string ttl_ms = std::to_string(worker_.server().settings().cache.default_ttl.count());
  std::vector<ByteView> argv(request.argv.begin(), request.argv.end());
  argv.insert(argv.end(), {"PX", ttl_ms});
  request.argv = argv;
  request.raw = encode(argv);
  return worker_.backend().execute(request);
}

ByteView Session::encode(std::span<const ByteView> argv) {
  Bytes& encoded = worker_.encode_buffer();
  encoded.clear();
  ReplyWriter writer(encoded, Protocol::resp2);
  writer.begin_array(argv.size());
  for (const ByteView argument : argv) writer.bulk(argument);
  return encoded;
}

/// Statistics, slow log and CLIENT REPLY, once a request was answered at once.
void Session::account(const Request& request, std::size_t reply_start) {
  Bytes& tail = queue_.tail();
  const std::int64_t now_us = steady_now_us();
  const std::int64_t took_us = now_us - started_us_;
  started_us_ = now_us;  // the next request starts where this one ended: one look at the clock for each
  record(request.spec, took_us, ByteView(tail).substr(reply_start));
  if (worker_.is_slow(took_us)) worker_.log_slow(*this, request.argv, took_us);

  if (state.reply_mode == ReplyMode::on) return;
  tail.resize(reply_start);
  if (state.reply_mode == ReplyMode::skip) state.reply_mode = ReplyMode::on;
  if (state.reply_mode == ReplyMode::skip_next) state.reply_mode = ReplyMode::skip;
}

void Session::record(const CommandSpec* spec, std::int64_t took_us, ByteView reply) {
  WorkerStatistics& statistics = worker_.statistics();
  CommandStatistics& command = statistics.of(spec);
  command.record(took_us);
  if (!reply.starts_with('-')) return;
  command.failed.add();
  statistics.errors.record(reply);
}

// --- deferred replies ---

Ticket Session::defer() {
  ReplyQueue::Place place{.spec = current_->spec, .started_us = started_us_, .protocol = protocol_};
  place.discard = state.reply_mode != ReplyMode::on;
  if (state.reply_mode == ReplyMode::skip) state.reply_mode = ReplyMode::on;
  if (worker_.keeps_slow_requests()) place.request = current_->raw.substr(0, kSlowlogRequestBytes);
  return queue_.defer(std::move(place));
}

ReplyWriter Session::reply_to(Ticket ticket) {
  return {queue_.bytes(ticket), queue_.place(ticket).protocol};
}

void Session::finish(Ticket ticket) {
  const ReplyQueue::Place& place = queue_.place(ticket);
  const std::int64_t took_us = steady_now_us() - place.started_us;
  record(place.spec, took_us, queue_.reply(ticket));
  if (worker_.is_slow(took_us)) worker_.log_slow(*this, place, took_us);
  adapt_most_pending(queue_.bytes(ticket).size());
  queue_.finish(ticket);
  if (!is_closed())
    worker_.mark_dirty(*this);
  else if (pending() == 0)
    worker_.release(*this);
}

/// All pending replies may arrive before the client reads one: while they are large few are asked for ahead.
void Session::adapt_most_pending(std::size_t reply_bytes) noexcept {
  most_pending_ = reply_bytes > kLargeReply ? std::max(most_pending_ / 2, kMinPending)
                                            : std::min(most_pending_ + 1, kMaxPending);
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
  if ((closing_ || (draining_ && !held_ && !paused_)) && pending() == 0 && out_.size() == sent_)
    return close();
  if (may_go_on() && !draining_) want(wanted_ | EPOLLIN);
}

bool Session::can_resume() const noexcept {
  return !paused_ && !closing_ && (!held_ || pending() == 0) && out_.size() - sent_ <= kMaxOutput &&
         pending() < most_pending_;
}

// --- bytes out ---

void Session::flush() {
  while (sent_ < out_.size()) {
    const ssize_t count = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      drop_sent_half();
      return want(wanted_ | EPOLLOUT);
    }
    if (count < 0) return close();
    sent_ += static_cast<std::size_t>(count);
    worker_.statistics().bytes_out.add(static_cast<std::uint64_t>(count));
  }
  out_.clear();
  sent_ = 0;
  if (queue_.empty()) worker_.give_buffer(std::exchange(out_, Bytes()));
  want(wanted_ & ~static_cast<std::uint32_t>(EPOLLOUT));
}

/// A slow reader may never take everything: what it has taken must not pile up before what it has not.
void Session::drop_sent_half() {
  if (sent_ < out_.size() / 2) return;
  out_.erase(0, sent_);
  sent_ = 0;
}

void Session::want(std::uint32_t events) {
  if (is_closed() || events == wanted_) return;
  wanted_ = events;
  worker_.poller().modify(fd_, wanted_, *this);
}

void Session::drop_buffers() {
  worker_.give_buffer(std::exchange(in_, Bytes()));
  parser_.shrink();
}

void Session::send_push(ByteView bytes) {
  queue_.tail().append(bytes);
  worker_.mark_dirty(*this);
}

// --- life ---

void Session::resume() {
  paused_ = false;
  settle();
}

void Session::finish_and_close() {
  if (is_closed()) return;
  // What the client had sent by now is still read and answered.
  if (may_go_on() && in_.empty()) read_into_scratch();
  if (is_closed()) return;
  draining_ = true;
  want(wanted_ & ~static_cast<std::uint32_t>(EPOLLIN));
  settle();
}

void Session::check_limits(std::int64_t now_us) {
  const LiveSettings& live = worker_.server().live;
  const std::int64_t timeout_s = live.idle_timeout_s.load(std::memory_order_relaxed);
  if (timeout_s > 0 && !state.monitoring && pending() == 0 &&
      now_us - last_active_us_ > timeout_s * 1'000'000)
    return close();
  if (exceeds(state.monitoring ? live.pubsub_output : live.normal_output, now_us)) {
    log::warning("client {} closed: {} bytes of unread replies exceed the output buffer limit",
                 identity_.address, out_.size() - sent_);
    return close();
  }
  if (in_.size() + parser_.heap_bytes() > live.query_buffer_limit.load(std::memory_order_relaxed)) {
    log::warning("client {} closed: its request exceeds the query buffer limit", identity_.address);
    close();
  }
}

/// Above the hard bound, or above the soft one for too long.
bool Session::exceeds(const OutputBounds& bounds, std::int64_t now_us) {
  const std::size_t unsent = out_.size() - sent_;
  const std::uint64_t hard = bounds.hard_bytes, soft = bounds.soft_bytes;
  if (hard > 0 && unsent > hard) return true;
  if (soft == 0 || unsent <= soft) {
    over_soft_since_us_ = 0;
    return false;
  }
  if (over_soft_since_us_ == 0) over_soft_since_us_ = now_us;
  return now_us - over_soft_since_us_ > bounds.soft_s * 1'000'000;
}

void Session::reset_state() {
  if (state.monitoring) {
    --worker_.monitors;
    --worker_.server().monitors;
  }
  state = State();
  state.authenticated = worker_.server().password().empty();
  db_ = worker_.server().tier().first_db();
  protocol_ = Protocol::resp2;
}

std::string Session::describe(UnixMs now_ms) const {
  const std::int64_t idle_s = (steady_now_us() - last_active_us_) / 1'000'000;
  const CommandSpec* command = current_ != nullptr ? current_->spec : last_command_;
  const char* flags = state.monitoring ? "O" : identity_.is_unix ? "U" : "N";
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi=-1 "
      "qbuf={} "
      "qbuf-free={} argv-mem={} multi-mem=0 rbs={} rbp=0 obl=0 oll={} omem={} tot-mem={} events={} cmd={} "
      "user={} "
      "redir=-1 resp={} lib-name={} lib-ver={}",
      identity_.id, identity_.address, identity_.local_address, fd_, state.name,
      (now_ms - identity_.connected_at_ms) / 1000, idle_s, flags, db_, in_.size(),
      in_.capacity() - in_.size(), parser_.heap_bytes(), out_.capacity(), pending(), out_.size() - sent_,
      sizeof(Session) + in_.capacity() + out_.capacity() + parser_.heap_bytes(),
      wanted_ & EPOLLOUT ? "rw" : "r", command == nullptr ? "NULL" : command->name, state.user,
      static_cast<int>(protocol_), state.library_name, state.library_version);
}

}  // namespace larder
