#include "backend/postgres/coherence.h"

#include <algorithm>
#include <charconv>
#include <poll.h>
#include <random>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/core.h>

#include "backend/postgres/notification.h"

namespace larder::postgres {
namespace {

/// A connection that is silently dead is found out after at most the sum of both.
constexpr std::chrono::milliseconds kCheckInterval{1'000};
constexpr std::chrono::milliseconds kCheckDeadline{2'000};
constexpr std::chrono::milliseconds kSelfTestDeadline{2'000};

/// Positive: the head of a payload is a number or `sql`.
std::int64_t random_id() {
  std::random_device device;
  return std::uniform_int_distribution<std::int64_t>(1, std::numeric_limits<std::int64_t>::max())(device);
}

/// Owns what PQnotifies() returns.
struct FreeNotification {
  void operator()(PGnotify* notification) const noexcept { PQfreemem(notification); }
};

}  // namespace

Coherence::Coherence(const Options& options, Keyspace& keyspace)
    : options_(options),
      keyspace_(keyspace),
      source_(keyspace.add_source()),
      id_(random_id()),
      channel_(channel_of(options.schema)),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Coherence::~Coherence() {
  stop();
  close(wake_fd_);
}

void Coherence::start() {
  thread_ = std::thread([this] { run(); });
}

void Coherence::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  eventfd_write(wake_fd_, 1);
  thread_.join();
}

std::optional<std::uint32_t> Coherence::generation() const noexcept {
  if (!keyspace_.enabled()) return std::nullopt;
  // The generation first: if the L1 is lost between the two, it has moved on.
  const std::uint32_t generation = keyspace_.source_generation(source_);
  if (!usable()) return std::nullopt;
  return generation;
}

void Coherence::doubt() noexcept {
  ++doubts_;
  update_usable();
}

void Coherence::settle() noexcept {
  --doubts_;
  update_usable();
}

void Coherence::update_usable() noexcept {
  const std::lock_guard lock(mutex_);
  const bool usable = hears_ && doubts_ == 0;
  // Voided on both edges: nothing from before may be seen, and no fill noted before may come later.
  usable_.store(false, std::memory_order_release);
  if (usable != was_usable_) keyspace_.void_source(source_);
  was_usable_ = usable;
  usable_.store(usable, std::memory_order_release);
}

std::string Coherence::state() const {
  switch (state_.load()) {
    case State::starting:
      return "starting";
    case State::waiting:
      return "waiting for older transactions";
    case State::listening:
      return doubts_ > 0 ? "waiting for a lost connection's end" : "listening";
    case State::deaf:
      break;
  }
  return "not listening: the L1 is off";
}

void Coherence::run() {
  auto pause = kFirstPause;
  while (!stopping_) {
    try {
      BlockingSession session(options_, SessionUse::upkeep);
      join(session);
      pause = kFirstPause;
      listen(session);
    } catch (const SqlError& error) {
      if (outage_.is_to_be_told(log::now_us()))
        log::warning("postgres: no invalidations, the L1 is off: {}", error.what());
    }
    hears_ = false;
    update_usable();
    state_ = State::deaf;
    if (!stopping_) wait_for(-1, pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

/// Registers, so that others tell us; then waits until nobody is left who did not see the registration.
void Coherence::join(BlockingSession& session) {
  session.script(fmt::format("listen {}", channel_));
  self_test(session);
  session.script(fmt::format("select pg_advisory_lock(hashtextextended('larder peer {}', 0))", id_));
  session.script(
      fmt::format("insert into peers (id, backend_pid) values ({}, pg_backend_pid())"
                  " on conflict (id) do update set backend_pid = excluded.backend_pid",
                  id_));
  state_ = State::waiting;
  await_older_transactions(session);
  hears_ = true;
  update_usable();
  state_ = State::listening;
  outage_.end();
  log::info("postgres: listening for changes on channel {}", channel_);
}

/// A pooler may take LISTEN and never deliver anything: only what came back is believed.
void Coherence::self_test(BlockingSession& session) {
  const std::string word = fmt::format("{} test", id_);
  session.script(fmt::format("notify {}, '{}'", channel_, word));
  const auto deadline = std::chrono::steady_clock::now() + kSelfTestDeadline;
  while (!take_notifications(session.raw(), word)) {
    if (std::chrono::steady_clock::now() > deadline)
      throw SqlError(
          {Failure::Kind::lost, "LISTEN does not work on this connection (a pooler in transaction mode?)"});
    wait_for(PQsocket(session.raw()), std::chrono::milliseconds(100));
    if (PQconsumeInput(session.raw()) == 0)
      throw SqlError({Failure::Kind::lost, one_line(PQerrorMessage(session.raw()))});
  }
}

/// A transaction looks for peers after it has written; one that looked too early is older than this snapshot.
void Coherence::await_older_transactions(BlockingSession& session) {
  const Result now = session.query("select pg_snapshot_xmax(pg_current_snapshot())::text::int8");
  const std::string oldest_may_be =
      fmt::format("select pg_snapshot_xmin(pg_current_snapshot())::text::int8 >= {}::int8", now.number(0, 0));
  auto warn_at = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!stopping_ && session.query(oldest_may_be).bytes(0, 0)[0] == 0) {
    if (std::chrono::steady_clock::now() > warn_at) {
      log::warning("postgres: the L1 stays off until a transaction that is older than this Larder has ended");
      warn_at = std::chrono::steady_clock::time_point::max();
    }
    wait_for(-1, std::chrono::milliseconds(20));
    take_notifications(session.raw());
  }
}

void Coherence::listen(BlockingSession& session) {
  PGconn* connection = session.raw();
  auto next_check = std::chrono::steady_clock::now();
  session.set_timeout(kCheckDeadline);
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_check) {
      check_peers(session);
      next_check = now + kCheckInterval;
    }
    wait_for(PQsocket(connection), std::chrono::ceil<std::chrono::milliseconds>(next_check - now));
    if (PQconsumeInput(connection) == 0)
      throw SqlError({Failure::Kind::lost, one_line(PQerrorMessage(connection))});
    take_notifications(connection);
  }
  session.script(fmt::format("delete from peers where id = {}", id_));
}

/// Proves that the connection lives, and forgets peers that ended without saying so. If our own row is gone
/// (somebody emptied the table), nobody tells us anything: start again.
void Coherence::check_peers(BlockingSession& session) {
  session.script(
      "delete from peers p where not exists (select 1 from pg_locks l where l.locktype = 'advisory' and "
      "l.granted"
      " and l.pid = p.backend_pid)");
  const Result found = session.query(fmt::format(
      "select count(*) filter (where id = {0}), count(*) filter (where id <> {0}) from peers", id_));
  if (found.number(0, 0) != 1) throw SqlError({Failure::Kind::lost, "this Larder's registration is gone"});
  peers_ = static_cast<int>(found.number(0, 1));
}

/// True when `awaited` was among them.
bool Coherence::take_notifications(PGconn* connection, ByteView awaited) {
  bool came = false;
  while (const std::unique_ptr<PGnotify, FreeNotification> notification{PQnotifies(connection)}) {
    const ByteView payload = notification->extra;
    if (payload == awaited)
      came = true;
    else
      hear(payload);
  }
  return came;
}

void Coherence::hear(ByteView payload) {
  const ByteView who = payload.substr(0, payload.find(' '));
  const ByteView keys = payload.substr(std::min(payload.size(), who.size() + 1));
  if (who == std::to_string(id_)) return;
  read_notification(
      keys,
      [this](int db, ByteView key) {
        keyspace_.void_key({db, key});
      },
      [this] { keyspace_.void_all(); });
}

/// Waits for input on `fd` (-1: none), for stop(), or for the time to pass.
void Coherence::wait_for(int fd, std::chrono::milliseconds time) {
  pollfd waited[] = {{fd, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  poll(waited, std::size(waited), static_cast<int>(std::max<std::int64_t>(0, time.count())));
}

}  // namespace larder::postgres
