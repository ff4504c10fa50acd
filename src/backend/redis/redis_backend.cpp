#include "backend/redis/redis_backend.h"

#include <fmt/format.h>

#include "backend/redis/answer.h"
#include "backend/redis/swap_watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr ByteView kOutcomeUnknown = "; whether the write took effect is unknown";

bool is_read(const InFlight& entry) noexcept {
  return entry.kind == InFlight::Kind::fill || entry.kind == InFlight::Kind::many_fill;
}

}  // namespace

RedisBackend::RedisBackend(boost::asio::io_context& io, Poller& poller, const Options& options,
                           Keyspace& keyspace, Statistics& statistics, Health& health)
    : context_{io, poller, options, keyspace, statistics, *this, keyspace.enabled()},
      health_(health),
      topology_(context_, health),
      reads_(context_, topology_, open_writes_),
      timer_(io) {
  // The lane that most clients will use is opened at once: a wrong address shows in the log, not at the first
  // request.
  topology_.any_node().lane(context_.caching ? Protocol::resp3 : Protocol::resp2,
                            static_cast<int>(options.address.db));
  arm_tick();
}

RedisBackend::~RedisBackend() = default;

Step RedisBackend::execute(const Request& request) {
  const Route route = commands_.route(request);
  if (draining_) {
    request.reply.error("ERR Larder is shutting down");
    return Step::done;
  }
  if (route.private_upstream || blocks(request)) {
    request.reply.error(
        fmt::format("ERR '{}' needs an upstream connection of its own, which this version of "
                    "Larder does not have",
                    request.argv[0].substr(0, 128)));
    return Step::done;
  }
  if (context_.caching && reads_.serves(request)) return reads_.execute(request);
  return forward(request, route);
}

Step RedisBackend::forward(const Request& request, const Route& route) {
  Lane& lane = lane_for(request, route);
  if (!lane.keeps_order(request.caller)) return Step::hold;
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    return Step::done;
  }
  InFlight entry;
  entry.converts = lane.purpose().protocol == Protocol::resp3 && request.caller.protocol() == Protocol::resp2;
  entry.writes = route.effect != Effect::none;
  if (context_.caching && entry.writes) void_written(lane, request, route, entry);
  lane.output().append(request.raw);
  request.caller.lane = &lane;
  entry.caller = &request.caller;
  entry.ticket = request.caller.defer();
  lane.expect(entry);
  return Step::pending;
}

void RedisBackend::void_written(Lane& lane, const Request& request, const Route& route, InFlight& entry) {
  keys_.clear();
  if (route.effect == Effect::keys) collect_written_keys(request, route, keys_);
  if (keys_.empty()) {
    entry.writes_anything = true;
    open_writes_.add_all();
    context_.keyspace.void_all();
    return;
  }
  entry.written_keys = static_cast<std::uint32_t>(keys_.size());
  for (const KeyRef& key : keys_) {
    open_writes_.add(key.hash);
    lane.written_keys().push(key);
    context_.keyspace.void_key(key);
  }
}

/// The write was answered or lost: what was filled meanwhile may be older than it.
void RedisBackend::void_again(Lane& lane, const InFlight& entry) {
  if (entry.writes_anything) {
    open_writes_.remove_all();
    context_.keyspace.void_all();
  }
  for (std::uint32_t i = 0; i < entry.written_keys; ++i)
    lane.written_keys().pop([this](const KeyRef& key) {
      open_writes_.remove(key.hash);
      context_.keyspace.void_key(key);
    });
}

/// Without L1 a lane speaks the client's protocol. With L1, commands whose replies convert trivially share
/// the tracked RESP3 lane, so that most clients never change lanes.
Lane& RedisBackend::lane_for(const Request& request, const Route& route) {
  const Protocol spoken = request.caller.protocol();
  return topology_.any_node().lane(context_.caching && route.scalar_reply ? Protocol::resp3 : spoken,
                                   request.caller.db());
}

// --- what lanes say ---

void RedisBackend::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  switch (entry.kind) {
    case InFlight::Kind::forward:
      return finish_forward(lane, entry, reply);
    case InFlight::Kind::fill:
    case InFlight::Kind::many_fill:
      return reads_.on_reply(lane, entry, reply);
    case InFlight::Kind::ping:
      if (lane.purpose().tracking && lane.swapdb_moved(swapdb_calls(reply.bytes)))
        context_.keyspace.void_all();
      return;
  }
}

void RedisBackend::finish_forward(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (context_.caching && entry.writes) void_again(lane, entry);
  if (!entry.expired) answer(entry, reply);
}

/// `invalidate` with an array of keys, or null after FLUSHALL, FLUSHDB and the like.
void RedisBackend::on_push(Lane&, ByteView push) {
  context_.statistics.pushes.add();
  ReplyCursor cursor(push);
  if (cursor.next().count < 2 || cursor.next().text != "invalidate") return;
  const ReplyCursor::Value keys = cursor.next();
  if (keys.is_null()) return context_.keyspace.void_all();
  for (std::int64_t left = keys.count; left > 0; --left)
    context_.keyspace.void_key_everywhere(cursor.next().text);
}

void RedisBackend::on_timeout(Lane& lane, const InFlight& entry) {
  fail(entry, fmt::format("ERR Redis at {} did not answer in {} ms{}", lane.label(),
                          context_.options.command_timeout.count(), entry.writes ? kOutcomeUnknown : ""));
}

void RedisBackend::on_lost(Lane& lane, const InFlight& entry, Fate fate) {
  if (context_.caching && entry.writes) void_again(lane, entry);
  if (!entry.expired) {
    const bool doubtful = entry.writes && fate == Fate::unknown;
    const ByteView what = fate == Fate::unknown ? "was lost" : "cannot be reached";
    fail(entry, fmt::format("ERR Redis at {} {}: {}{}", lane.label(), what, lane.problem(),
                            doubtful ? kOutcomeUnknown : ""));
  }
  if (is_read(entry)) reads_.forget(entry);
}

/// Tells whoever waits that no reply will come.
void RedisBackend::fail(const InFlight& entry, ByteView error) {
  if (is_read(entry))
    reads_.fail(entry, error);
  else if (entry.kind == InFlight::Kind::forward)
    answer_error({entry.caller, entry.ticket}, error);
}

void RedisBackend::on_doubt(Lane& lane) {
  if (lane.purpose().tracking) context_.keyspace.void_source(lane.purpose().source);
  commands_known_ = false;  // it may come back as another version
}

void RedisBackend::on_ready(Lane& lane, const Handshake& handshake) {
  if (!handshake.commands().empty()) {
    commands_.learn(handshake.commands());
    commands_known_ = true;
  }
  if (!lane.purpose().tracking) return;
  const std::string tracking = handshake.tracks() ? "yes" : "no: " + handshake.tracking_problem();
  if (!health_.set_tracking(tracking) || handshake.tracks()) return;
  log::warning("redis: {} {}", handshake.tracking_problem(),
               context_.options.untracked_ttl.count() > 0
                   ? "L1 entries live for l1.untracked_ttl at most"
                   : "L1 is off (l1.untracked_ttl would bound stale reads)");
}

// --- upkeep ---

void RedisBackend::arm_tick() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    arm_tick();
  });
}

void RedisBackend::tick() {
  const std::int64_t now_us = steady_now_us();
  topology_.for_each_node([now_us](Node& node) { node.tick(now_us); });
  finish_drain();
}

void RedisBackend::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
}

void RedisBackend::finish_drain() {
  if (!drained_) return;
  bool quiet = true;
  topology_.for_each_node([&quiet](const Node& node) { quiet = quiet && node.is_quiet(); });
  if (!quiet) return;
  topology_.for_each_node([](Node& node) { node.close(); });
  std::exchange(drained_, nullptr)();
}

}  // namespace larder::redis
