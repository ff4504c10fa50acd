#include "backend/postgres/backend.h"

#include <fmt/core.h>

#include "backend/block.h"
#include "backend/postgres/l1_view.h"

namespace larder::postgres {
namespace {

constexpr std::chrono::milliseconds kTick{100};

/// On top of the server's own statement_timeout: past this the connection itself is to blame.
constexpr std::chrono::milliseconds kGrace{1'000};

}  // namespace

PostgresBackend::PostgresBackend(boost::asio::io_context& io, Poller& poller, Shared& shared)
    : shared_(shared),
      reads_(io, poller, shared, shared.options.lanes),
      writes_(io, poller, shared, shared.options.lanes),
      whole_(io, poller, shared),
      timer_(io),
      get_(find_command("get")) {
  reads_.open_now();
  writes_.open_now();
  whole_.open_now();
  arm_timer();
}

Step PostgresBackend::execute(const Request& request) {
  if (whole_.occupies(request.caller)) return Step::hold;
  const UnixMs now_ms = request.now_ms + shared_.clock_offset_ms.load(std::memory_order_relaxed);
  if (is_about_all_keys(*request.spec)) return run_whole(request, now_ms);
  keys_.clear();
  if (request.spec->runner == Runner::connection) {
    if (is_transaction(request)) return run_transaction(request, now_ms);
    if (request.spec->name == "watch") return watch(request, now_ms);
    watches_.drop(request.caller);
    request.reply.ok();
    return Step::done;
  }
  collect_keys(*request.spec, Call{request.argv, request.caller.db(), now_ms, request.reply}, keys_);
  return request.spec->flags.has(Flag::write) ? write(request, now_ms) : read(request, now_ms);
}

Step PostgresBackend::run_whole(const Request& request, UnixMs now_ms) {
  if (whole_.is_open()) return whole_.execute(request, now_ms);
  whole_.keep_for_later(request);
  return unreachable(request);
}

Step PostgresBackend::read(const Request& request, UnixMs now_ms) {
  if (keys_.empty()) return run_without_keys(request, now_ms);
  const Lanes::Naming writer = writes_.naming(keys_);
  Executor& reader = reads_.of(request.caller);
  // Behind a read that is under way the L1 may know less than that read will say, and less than WATCH has
  // seen.
  if (writer.lane == nullptr && !request.caller.holds.watching && !reader.names(keys_) &&
      answer_from_l1(request, now_ms)) {
    request.caller.is_heard_of = true;
    return Step::done;
  }
  if (writer.several && request.caller.pending() > 0) return Step::hold;
  const bool behind_write = writer.lane != nullptr && !writer.several;
  Executor& lane = behind_write ? *writer.lane : reader;
  if (!lane.is_open()) return unreachable(request);
  if (!behind_write) request.caller.lane = &reader;
  lane.add(request, now_ms, keys_);
  return Step::pending;
}

Step PostgresBackend::write(const Request& request, UnixMs now_ms) {
  if (keys_.empty()) return run_without_keys(request, now_ms);
  const Lanes::Naming writer = writes_.naming(keys_);
  if (request.caller.pending() > 0 && (writer.several || reads_.of(request.caller).names(keys_)))
    return Step::hold;
  Executor& lane = writer.lane != nullptr ? *writer.lane : writes_.freest();
  if (!lane.is_open()) return unreachable(request);
  lane.add(request, now_ms, keys_);
  return Step::pending;
}

/// By the rows as they are: what waits in a lane of writes, of other clients, is a change.
Step PostgresBackend::watch(const Request& request, UnixMs now_ms) {
  if (request.caller.pending() > 0) return Step::hold;
  collect_keys(*request.spec, Call{request.argv, request.caller.db(), now_ms, request.reply}, keys_);
  Executor& lane = reads_.freest();
  if (!lane.is_open()) return unreachable(request);
  request.caller.lane = &lane;
  Watches::Request& caller = watches_.begin(request.caller, keys_);
  lane.add_watch(Request{request.spec, request.argv, request.raw, request.now_ms, caller, request.reply},
                 now_ms, keys_);
  return Step::pending;
}

Step PostgresBackend::run_transaction(const Request& exec, UnixMs now_ms) {
  if (exec.caller.principal->pending() > 0) return Step::hold;
  bool has_parts = false;
  for_each_queued(exec, [&](const Request& queued) { has_parts |= is_about_all_keys(*queued.spec); });
  return has_parts ? run_in_parts(exec, now_ms) : run_block(exec, now_ms);
}

Step PostgresBackend::run_block(const Request& exec, UnixMs now_ms) {
  keys_.clear();
  for_each_queued(exec, [&](const Request& queued) {
    // In whatever database: the wrong one makes it wait for nothing at worst.
    collect_keys(*queued.spec, Call{queued.argv, exec.caller.db(), now_ms, exec.reply}, keys_);
  });
  const Lanes::Naming writer = writes_.naming(keys_);
  Executor& lane = writer.lane != nullptr ? *writer.lane : writes_.freest();
  if (!lane.is_open()) return unreachable(exec);
  auto watched = watches_.take(*exec.caller.principal);
  lane.add_transaction(exec, now_ms, std::make_unique<Transaction>(exec.caller, std::move(watched)));
  return Step::pending;
}

Step PostgresBackend::run_in_parts(const Request& exec, UnixMs now_ms) {
  const auto run = [this, now_ms](const Request& part) {
    return is_transaction(part) ? run_block(part, now_ms) : run_whole(part, now_ms);
  };
  const Caller* const client = exec.caller.principal;
  auto& parts = parted_[client];
  parts = std::make_unique<PartedTransaction>(exec, run, [this, client] { parted_.erase(client); });
  parts->start();
  return Step::blocking;
}

void PostgresBackend::append_read_keys(const Request& request, std::vector<KeyRef>& keys) {
  if (!is_transaction(request)) return Backend::append_read_keys(request, keys);
  for_each_queued(request, [&](const Request& queued) { Backend::append_read_keys(queued, keys); });
}

/// HELP and the like: there is nothing to ask the database.
Step PostgresBackend::run_without_keys(const Request& request, UnixMs now_ms) {
  L1View nothing(shared_.keyspace, now_ms);
  Call call{request.argv, request.caller.db(), now_ms, request.reply};
  request.spec->run(call, nothing);
  return Step::done;
}

bool PostgresBackend::answer_from_l1(const Request& request, UnixMs now_ms) {
  if (!shared_.keyspace.enabled() || !shared_.coherence.usable()) return false;
  if (request.spec != get_) return run_on_l1(request, now_ms);
  UnixMs expire_at = kNoExpiry;
  const Lookup found = shared_.keyspace.read(keys_.front(), now_ms, [&](const Item& item) {
    request.reply.bulk(item.value);
    expire_at = item.expire_at;
  });
  note_expiry(shared_.keyspace, keys_.front(), expire_at);
  if (found == Lookup::absent) request.reply.null();
  return found != Lookup::miss;
}

bool PostgresBackend::run_on_l1(const Request& request, UnixMs now_ms) {
  Bytes& out = request.reply.buffer();
  const std::size_t start = out.size();
  const std::uint64_t before = epochs();
  L1View records(shared_.keyspace, now_ms);
  Call call{request.argv, request.caller.db(), now_ms, request.reply};
  request.spec->run(call, records);
  // Several keys are one snapshot only if none was written meanwhile.
  if (!records.missed() && epochs() == before) return true;
  out.resize(start);
  return false;
}

/// Moves whenever one of the command's keys is written.
std::uint64_t PostgresBackend::epochs() const noexcept {
  std::uint64_t sum = 0;
  for (const KeyRef& key : keys_) sum += shared_.keyspace.epoch(key.hash);
  return sum;
}

Step PostgresBackend::unreachable(const Request& request) {
  request.reply.error("ERR the database is unreachable: " + shared_.dialer.last_error());
  return Step::done;
}

void PostgresBackend::drain(std::function<void()> done) {
  drained_ = std::move(done);
  tick();
}

void PostgresBackend::arm_timer() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    arm_timer();
  });
}

void PostgresBackend::tick() {
  const std::int64_t now_us = steady_now_us();
  const std::int64_t allowed_us = std::chrono::microseconds(shared_.options.command_timeout + kGrace).count();
  reads_.check_deadline(now_us, allowed_us);
  writes_.check_deadline(now_us, allowed_us);
  whole_.check_deadline(now_us, allowed_us);
  shared_.keyspace.tracked().expire(unix_now_ms() + shared_.clock_offset_ms.load(std::memory_order_relaxed));
  if (drained_ && reads_.idle() && writes_.idle() && whole_.idle()) std::exchange(drained_, nullptr)();
}

}  // namespace larder::postgres
