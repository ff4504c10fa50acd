#include "server/worker.h"

#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "resp/request_parser.h"
#include "server/redact.h"
#include "server/server.h"

namespace larder {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr std::size_t kBufferBytes = 16 * 1024;
constexpr std::size_t kLargestSpareBuffer = 64 * 1024;
constexpr std::size_t kSpareBuffers = 64;
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr int kTicksPerLimitCheck = 10;
constexpr std::size_t kSweepSlots = 1000;
constexpr int kSweepRounds = 16;  // at most, while a quarter of what is looked at has expired

}  // namespace

struct Worker::Loop {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
  asio::steady_timer timer{io};
  std::thread thread;
};

Worker::Worker(Server& server, Tier& tier, int index)
    : server_(server),
      index_(index),
      loop_(std::make_unique<Loop>()),
      poller_(std::make_unique<Poller>(loop_->io)),
      backend_(tier.make_backend(loop_->io, *poller_)),
      scratch_(kScratchBytes),
      hub_(server.topics) {
  poller_->at_every_end_of_batch([this] { settle_dirty(); });
  compare_clocks();
}

Worker::~Worker() {
  backend_.reset();
  sessions_.clear();
}

asio::io_context& Worker::io() noexcept {
  return loop_->io;
}

void Worker::start() {
  arm_tick();
  loop_->thread = std::thread([this] { run(); });
}

void Worker::run() {
  ::pthread_setname_np(::pthread_self(), ("larder-" + std::to_string(index_)).c_str());
  loop_->io.run();
}

void Worker::join() {
  if (loop_->thread.joinable()) loop_->thread.join();
}

void Worker::post(std::function<void()> work) {
  asio::post(loop_->io, std::move(work));
  poller_->interrupt();
}

void Worker::adopt(int fd, ClientIdentity identity) {
  const std::uint64_t id = identity.id;
  statistics_.connections.add();
  auto session = std::make_unique<Session>(*this, fd, std::move(identity));
  if (draining_) session->finish_and_close();
  sessions_.emplace(id, std::move(session));
}

Session* Worker::find_session(std::uint64_t id) noexcept {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

/// A look at a clock may cost a tenth of a microsecond: one has to do for both.
void Worker::refresh_clock() noexcept {
  now_us_ = steady_now_us();
  now_ms_ = (now_us_ + unix_ahead_us_) / 1000;
}

void Worker::compare_clocks() noexcept {
  unix_ahead_us_ = unix_now_us() - steady_now_us();
  refresh_clock();
}

// --- slow log ---

bool Worker::is_slow(std::int64_t took_us) const noexcept {
  const std::int64_t threshold = server_.live.slowlog_slower_than_us.load(std::memory_order_relaxed);
  return threshold >= 0 && took_us >= threshold;
}

bool Worker::keeps_slow_requests() const noexcept {
  return server_.live.slowlog_slower_than_us.load(std::memory_order_relaxed) >= 0;
}

bool Worker::times_quick_requests() const noexcept {
  constexpr std::int64_t kQuickUs = 1000;
  const std::int64_t threshold = server_.live.slowlog_slower_than_us.load(std::memory_order_relaxed);
  return threshold >= 0 && threshold < kQuickUs;
}

void Worker::log_slow(const Session& session, std::span<const ByteView> request, const Slowlog::Split& took) {
  constexpr std::size_t kMaxArguments = 32, kMaxBytes = 128;
  Slowlog::Entry entry{.at_seconds = unix_now_ms() / 1000,
                       .duration_us = took.l1_us + took.queue_us + took.upstream_us,
                       .split = took,
                       .client_address = session.identity().address,
                       .client_name = session.state.name};
  const std::vector<ByteView> argv = redacted(request);
  for (const ByteView argument : argv) {
    if (entry.argv.size() == kMaxArguments - 1 && argv.size() > kMaxArguments) {
      entry.argv.push_back("... (" + std::to_string(argv.size() - kMaxArguments + 1) + " more arguments)");
      break;
    }
    entry.argv.emplace_back(argument.substr(0, kMaxBytes));
    if (argument.size() > kMaxBytes)
      entry.argv.back() += "... (" + std::to_string(argument.size() - kMaxBytes) + " more bytes)";
  }
  server_.slowlog.add(std::move(entry), server_.live.slowlog_max_len);
}

/// A deferred request is known by its first bytes: shown are the arguments that were kept whole.
void Worker::log_slow(const Session& session, const ReplyQueue::Place& place, const Slowlog::Split& took) {
  RequestParser parser;
  const auto status = parser.parse(place.request, {});
  if (status && *status == RequestParser::Status::ready) return log_slow(session, parser.argv(), took);
  std::vector<ByteView> argv = parser.partial_argv(place.request);
  argv.push_back("... (more)");
  log_slow(session, argv, took);
}

// --- buffers and batches ---

Bytes Worker::take_buffer() {
  if (spare_buffers_.empty()) {
    Bytes buffer;
    buffer.reserve(kBufferBytes);
    return buffer;
  }
  Bytes buffer = std::move(spare_buffers_.back());
  spare_buffers_.pop_back();
  return buffer;
}

void Worker::give_buffer(Bytes buffer) {
  if (buffer.capacity() < kBufferBytes || buffer.capacity() > kLargestSpareBuffer) return;
  if (spare_buffers_.size() == kSpareBuffers) return;
  buffer.clear();
  spare_buffers_.push_back(std::move(buffer));
}

ByteView Worker::encode(std::span<const ByteView> argv) {
  encoded_.clear();
  ReplyWriter writer(encoded_, Protocol::resp2);
  writer.begin_array(argv.size());
  for (const ByteView argument : argv) writer.bulk(argument);
  return encoded_;
}

void Worker::mark_dirty(Session& session) {
  if (session.marked_dirty) return;
  session.marked_dirty = true;
  if (dirty_.empty()) poller_->at_end_of_batch([] {});  // a batch may have to be made for it
  dirty_.push_back(&session);
}

void Worker::settle_dirty() {
  while (!dirty_.empty()) {
    std::vector<Session*> sessions;
    sessions.swap(dirty_);
    for (Session* session : sessions) {
      session->marked_dirty = false;
      if (!session->is_closed()) session->settle();
    }
  }
  for (const std::uint64_t id : released_) sessions_.erase(id);
  if (!released_.empty()) statistics_.clients.fetch_sub(released_.size(), std::memory_order_relaxed);
  released_.clear();
}

void Worker::release(Session& session) {
  if (session.released) return;
  session.released = true;
  if (released_.empty()) poller_->at_end_of_batch([] {});
  released_.push_back(session.identity().id);
}

void Worker::park(Session& session) {
  parked_.push_back(session.identity().id);
}

void Worker::retry_at_tick(Session& session) {
  retried_.push_back(session.identity().id);
}

void Worker::show_monitors(ByteView line) {
  for (const auto& [id, session] : sessions_)
    if (session->state.monitoring && !session->is_closed()) session->send_behind(line);
}

// --- upkeep ---

void Worker::arm_tick() {
  loop_->timer.expires_after(kTick);
  loop_->timer.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    arm_tick();
  });
}

/// They may come back into the same list at once.
void Worker::resume_all(std::vector<std::uint64_t>& ids) {
  for (const std::uint64_t id : std::exchange(ids, {}))
    if (Session* session = find_session(id); session != nullptr && !session->is_closed()) session->resume();
}

void Worker::tick() {
  compare_clocks();
  ++ticks_;
  if (now_ms_ >= server_.paused_until_ms.load(std::memory_order_relaxed)) resume_all(parked_);
  resume_all(retried_);
  for (int round = 0; round < kSweepRounds; ++round)
    if (server_.keyspace().sweep(kSweepSlots, now_ms_) * 4 < kSweepSlots) break;
  if (ticks_ % kTicksPerLimitCheck == 0) {
    for (const auto& [id, session] : sessions_)
      if (!session->is_closed()) session->check_limits(now_us_);
    hot_keys_.fade();
    take_rate();
    server_.note_memory(server_.keyspace().used_bytes());
  }
  settle_dirty();
  if (draining_) finish_if_drained();
}

void Worker::take_rate() {
  const std::uint64_t commands = statistics_.commands.get();
  const std::uint64_t since =
      commands - (commands < commands_before_ ? 0 : commands_before_);  // CONFIG RESETSTAT
  const std::int64_t elapsed_us = std::max<std::int64_t>(now_us_ - std::exchange(rate_taken_us_, now_us_), 1);
  commands_before_ = commands;
  statistics_.commands_per_s = since * 1'000'000 / static_cast<std::uint64_t>(elapsed_us);
}

// --- shutdown ---

void Worker::drain(std::int64_t deadline_us) {
  draining_ = true;
  drain_deadline_us_ = deadline_us;
  for (const auto& [id, session] : sessions_) session->finish_and_close();
  settle_dirty();
  finish_if_drained();
}

void Worker::finish_if_drained() {
  const bool late = steady_now_us() > drain_deadline_us_;
  if (late && !sessions_.empty()) {
    log::warning("worker {}: {} clients did not take their replies in time and were cut off", index_,
                 sessions_.size());
    for (const auto& [id, session] : sessions_) session->close();
    settle_dirty();
  }
  if (!sessions_.empty() && !late) return;
  if (!backend_drained_) {
    backend_drained_ = true;
    backend_->drain([this] { loop_->io.stop(); });
  } else if (late) {
    loop_->io.stop();
  }
}

}  // namespace larder
