#include "backend/redis/redis_backend.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include "backend/redis/swap_watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr ByteView kOutcomeUnknown = "; whether the write took effect is unknown";
constexpr ByteView kPttl = "*2\r\n$4\r\nPTTL\r\n$";

void append_pttl(Bytes& out, ByteView key) {
  out.append(kPttl);
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}\r\n"), key.size());
  out.append(key).append("\r\n");
}

std::string label_of(const config::RedisAddress& address) {
  return address.path.empty() ? fmt::format("{}:{}", address.host, address.port) : address.path;
}

/// A `$` reply's bytes.
ByteView bulk_of(ByteView reply) noexcept {
  const std::size_t line = reply.find('\n') + 1;
  return reply.substr(line, reply.size() - line - 2);
}

bool is_null(const Reply& reply) noexcept {
  return reply.type == '_' || (reply.type == '$' && reply.bytes[1] == '-');
}

std::int64_t ttl_of(const Reply& reply) noexcept {
  return reply.type == ':' ? ReplyCursor(reply.bytes).next().integer() : kTtlUnknown;
}

}  // namespace

RedisBackend::RedisBackend(boost::asio::io_context& io, Poller& poller, const Options& options,
                           Keyspace& keyspace, Statistics& statistics, Health& health)
    : options_(options),
      keyspace_(keyspace),
      statistics_(statistics),
      health_(health),
      caching_(keyspace.enabled()),
      get_(find_command("get")),
      mget_(find_command("mget")),
      context_{io, poller, options, statistics, health, *this, label_of(options.address)},
      timer_(io) {
  // The lane that most clients will use is opened at once: a wrong address shows in the log, not at the first
  // request.
  lane(caching_ ? Protocol::resp3 : Protocol::resp2, static_cast<int>(options.address.db));
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
  if (caching_ && request.spec == get_) return get(request);
  if (caching_ && request.spec == mget_) return mget(request);
  return forward(request, route);
}

// --- reads that L1 may answer ---

/// An open write of the client's own pipeline comes first, wherever it is.
bool RedisBackend::may_use_l1(const Request& request, const KeyRef& key) const noexcept {
  return request.caller.pending() == 0 || !open_writes_.may_touch(key.hash);
}

Step RedisBackend::get(const Request& request) {
  const KeyRef key(request.caller.db(), request.argv[1]);
  if (may_use_l1(request, key)) {
    const Lookup found =
        keyspace_.read(key, request.now_ms, [&](const Item& item) { request.reply.bulk(item.value); });
    if (found == Lookup::hit) return Step::done;
    if (found == Lookup::absent) {
      request.reply.null();
      return Step::done;
    }
  }
  return fill(request, key);
}

Step RedisBackend::fill(const Request& request, const KeyRef& key) {
  Lane& lane = this->lane(Protocol::resp3, key.db);
  if (must_hold(request, lane)) return Step::hold;
  const Epoch epoch = keyspace_.epoch(key.hash);
  if (Flight* flight = flights_.find(key, epoch)) {
    statistics_.joined.add();
    join(*flight, request, lane);
    return Step::pending;
  }
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    return Step::done;
  }
  InFlight entry;
  entry.kind = InFlight::Kind::fill;
  entry.replies_left = 2;
  entry.index = flights_.open(key, epoch, terms_of(lane, request));
  join(flights_[entry.index], request, lane);
  append_pttl(lane.output(), key.bytes);
  lane.output().append(request.raw);
  lane.expect(entry);
  return Step::pending;
}

void RedisBackend::join(Flight& flight, const Request& request, Lane& lane) {
  request.caller.lane = &lane;
  flight.waiters.push_back({&request.caller, request.caller.defer()});
}

FillTerms RedisBackend::terms_of(const Lane& lane, const Request& request) const noexcept {
  const SourceId source = lane.purpose().source;
  return {request.now_ms, source, keyspace_.source_generation(source)};
}

void RedisBackend::finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply) {
  Flight& flight = flights_[index];
  const bool absent = is_null(reply);
  if (absent || reply.type == '$') {
    KeyRef key(flight.db, {});
    key.bytes = flight.key;
    key.hash = flight.hash;
    store(lane, key, absent ? ByteView() : bulk_of(reply.bytes), absent, flight.ttl_ms, flight.epoch,
          flight.terms);
  }
  flights_.seal(index);
  for (const Waiter& waiter : flight.waiters) {
    ReplyWriter writer = waiter.caller->reply_to(waiter.ticket);
    if (absent)
      writer.null();
    else
      writer.raw(reply.bytes);
    waiter.caller->finish(waiter.ticket);
  }
  flights_.close(index);
}

/// Without invalidations a fill is believed for a bounded time, or not at all.
bool RedisBackend::may_fill(const Lane& lane) const noexcept {
  return lane.is_tracked() || options_.untracked_ttl.count() > 0;
}

UnixMs RedisBackend::expiry_of(const Lane& lane, UnixMs sent_ms, std::int64_t ttl_ms) const noexcept {
  const UnixMs expiry = ttl_ms >= 0 ? sent_ms + ttl_ms : kNoExpiry;
  if (lane.is_tracked()) return expiry;
  const UnixMs longest = sent_ms + options_.untracked_ttl.count();
  return expiry == kNoExpiry ? longest : std::min(expiry, longest);
}

/// Stores what PTTL and GET agree on; when they do not, the key changed between them.
void RedisBackend::store(const Lane& lane, const KeyRef& key, ByteView value, bool absent,
                         std::int64_t ttl_ms, Epoch noted, const FillTerms& terms) {
  if (!may_fill(lane) || ttl_ms == kTtlUnknown || absent != (ttl_ms == kTtlAbsent)) return;
  const UnixMs expiry = expiry_of(lane, terms.sent_ms, ttl_ms);
  const bool stored = absent ? keyspace_.fill_absent(key, expiry, noted, terms.source, terms.generation)
                             : keyspace_.fill(key, value, expiry, noted, terms.source, terms.generation);
  if (stored) statistics_.fills.add();
}

Step RedisBackend::mget(const Request& request) {
  ReplyWriter& reply = request.reply;
  const std::size_t start = reply.buffer().size();
  const auto names = request.argv.subspan(1);
  reply.begin_array(names.size());
  for (const ByteView name : names) {
    const KeyRef key(request.caller.db(), name);
    const Lookup found =
        !may_use_l1(request, key)
            ? Lookup::miss
            : keyspace_.read(key, request.now_ms, [&](const Item& item) { reply.bulk(item.value); });
    if (found == Lookup::miss) {
      reply.buffer().resize(start);
      return fill_many(request);
    }
    if (found == Lookup::absent) reply.null();
  }
  return Step::done;
}

/// MGET goes out as the client sent it, so its answer is of one moment; a PTTL before it for each key that L1
/// lacks makes the answer fit for L1.
Step RedisBackend::fill_many(const Request& request) {
  Lane& lane = this->lane(Protocol::resp3, request.caller.db());
  if (must_hold(request, lane)) return Step::hold;
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    return Step::done;
  }
  InFlight entry;
  entry.kind = InFlight::Kind::many_fill;
  entry.converts = request.caller.protocol() == Protocol::resp2;
  entry.index = many_.take();
  ManyFlight& flight = many_[entry.index];
  flight.clear();
  flight.db = request.caller.db();
  flight.terms = terms_of(lane, request);
  for (std::size_t i = 1; i < request.argv.size(); ++i) {
    const KeyRef key(flight.db, request.argv[i]);
    if (keyspace_.read(key, request.now_ms, [](const Item&) {}) != Lookup::miss) continue;
    flight.add(i - 1, key.bytes, keyspace_.epoch(key.hash));
    append_pttl(lane.output(), key.bytes);
  }
  entry.replies_left = static_cast<std::uint32_t>(flight.parts.size()) + 1;
  lane.output().append(request.raw);
  request.caller.lane = &lane;
  entry.caller = &request.caller;
  entry.ticket = request.caller.defer();
  lane.expect(entry);
  return Step::pending;
}

/// A null may also be a key that holds something else than a string: it is believed absent only if PTTL says
/// so.
void RedisBackend::store_many(const Lane& lane, const ManyFlight& flight, ByteView reply) {
  ReplyCursor cursor(reply);
  cursor.skip_header();
  std::size_t position = 0;
  for (const ManyFlight::Part& part : flight.parts) {
    cursor.skip(static_cast<std::int64_t>(part.position - position));
    const ReplyCursor::Value value = cursor.next();
    position = part.position + 1;
    const KeyRef key(flight.db, flight.key_of(part));
    store(lane, key, value.text, value.is_null(), part.ttl_ms, part.epoch, flight.terms);
  }
}

// --- everything else ---

Step RedisBackend::forward(const Request& request, const Route& route) {
  Lane& lane = lane_for(request, route);
  if (must_hold(request, lane)) return Step::hold;
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    return Step::done;
  }
  InFlight entry;
  entry.converts = lane.purpose().protocol == Protocol::resp3 && request.caller.protocol() == Protocol::resp2;
  entry.writes = route.effect != Effect::none;
  if (caching_ && entry.writes) void_written(lane, request, route, entry);
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
    keyspace_.void_all();
    return;
  }
  entry.written_keys = static_cast<std::uint32_t>(keys_.size());
  for (const KeyRef& key : keys_) {
    open_writes_.add(key.hash);
    lane.written_keys().push(key);
    keyspace_.void_key(key);
  }
}

/// The write was answered or lost: what was filled meanwhile may be older than it.
void RedisBackend::void_again(Lane& lane, const InFlight& entry) {
  if (entry.writes_anything) {
    open_writes_.remove_all();
    keyspace_.void_all();
  }
  for (std::uint32_t i = 0; i < entry.written_keys; ++i)
    lane.written_keys().pop([this](const KeyRef& key) {
      open_writes_.remove(key.hash);
      keyspace_.void_key(key);
    });
}

/// Without L1 a lane speaks the client's protocol. With L1, commands whose replies convert trivially share
/// the tracked RESP3 lane, so that most clients never change lanes.
Lane& RedisBackend::lane_for(const Request& request, const Route& route) {
  const Protocol spoken = request.caller.protocol();
  return lane(caching_ && route.scalar_reply ? Protocol::resp3 : spoken, request.caller.db());
}

Lane& RedisBackend::lane(Protocol protocol, int db) {
  const std::size_t index = static_cast<std::size_t>(db) * 2 + (protocol == Protocol::resp3 ? 1 : 0);
  if (index >= lanes_.size()) lanes_.resize(index + 1);
  std::unique_ptr<Lane>& lane = lanes_[index];
  if (lane == nullptr) {
    const bool tracking = caching_ && protocol == Protocol::resp3;
    const SourceId source = tracking ? keyspace_.add_source() : 0;
    lane = std::make_unique<Lane>(context_, Lane::Purpose{protocol, db, tracking, source});
  }
  return *lane;
}

/// A client's open requests are on one lane at a time: two lanes do not keep their order.
bool RedisBackend::must_hold(const Request& request, const Lane& lane) noexcept {
  return request.caller.lane != &lane && request.caller.pending() > 0;
}

// --- what lanes say ---

void RedisBackend::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  switch (entry.kind) {
    case InFlight::Kind::forward:
      return finish_forward(lane, entry, reply);
    case InFlight::Kind::fill:
      if (entry.replies_left > 0)
        flights_[entry.index].ttl_ms = ttl_of(reply);
      else
        finish_fill(lane, entry.index, reply);
      return;
    case InFlight::Kind::many_fill:
      if (entry.replies_left > 0)
        many_[entry.index].add_ttl(ttl_of(reply));
      else
        finish_many(lane, entry, reply);
      return;
    case InFlight::Kind::ping:
      if (lane.purpose().tracking && lane.swapdb_moved(swapdb_calls(reply.bytes))) keyspace_.void_all();
      return;
  }
}

void RedisBackend::finish_forward(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (caching_ && entry.writes) void_again(lane, entry);
  if (!entry.expired) answer(entry, reply);
}

void RedisBackend::finish_many(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (reply.type == '*') store_many(lane, many_[entry.index], reply.bytes);
  many_.give_back(entry.index);
  if (!entry.expired) answer(entry, reply);
}

void RedisBackend::answer(const InFlight& entry, const Reply& reply) {
  ReplyWriter writer = entry.caller->reply_to(entry.ticket);
  if (entry.converts && reply.has_null)
    append_as_resp2(reply.bytes, writer.buffer());
  else
    writer.raw(reply.bytes);
  entry.caller->finish(entry.ticket);
}

/// `invalidate` with an array of keys, or null after FLUSHALL, FLUSHDB and the like.
void RedisBackend::on_push(Lane&, ByteView push) {
  statistics_.pushes.add();
  ReplyCursor cursor(push);
  if (cursor.next().count < 2 || cursor.next().text != "invalidate") return;
  const ReplyCursor::Value keys = cursor.next();
  if (keys.is_null()) return keyspace_.void_all();
  for (std::int64_t left = keys.count; left > 0; --left) keyspace_.void_key_everywhere(cursor.next().text);
}

void RedisBackend::on_timeout(Lane& lane, const InFlight& entry) {
  fail(lane, entry,
       fmt::format("ERR Redis at {} did not answer in {} ms{}", context_.label,
                   options_.command_timeout.count(), entry.writes ? kOutcomeUnknown : ""));
}

void RedisBackend::on_lost(Lane& lane, const InFlight& entry, Fate fate) {
  if (caching_ && entry.writes) void_again(lane, entry);
  if (!entry.expired) {
    const bool doubtful = entry.writes && fate == Fate::unknown;
    const ByteView what = fate == Fate::unknown ? "was lost" : "cannot be reached";
    fail(lane, entry,
         fmt::format("ERR Redis at {} {}: {}{}", context_.label, what, lane.problem(),
                     doubtful ? kOutcomeUnknown : ""));
  }
  if (entry.kind == InFlight::Kind::fill) flights_.close(entry.index);
  if (entry.kind == InFlight::Kind::many_fill) many_.give_back(entry.index);
}

/// Tells whoever waits that no reply will come.
void RedisBackend::fail(Lane&, const InFlight& entry, ByteView error) {
  if (entry.kind == InFlight::Kind::fill) {
    Flight& flight = flights_[entry.index];
    flights_.seal(entry.index);
    for (const Waiter& waiter : flight.waiters) answer_error(waiter, error);
    flight.waiters.clear();
  } else if (entry.kind != InFlight::Kind::ping) {
    answer_error({entry.caller, entry.ticket}, error);
  }
}

void RedisBackend::answer_error(const Waiter& waiter, ByteView error) {
  waiter.caller->reply_to(waiter.ticket).error(error);
  waiter.caller->finish(waiter.ticket);
}

void RedisBackend::on_doubt(Lane& lane) {
  if (lane.purpose().tracking) keyspace_.void_source(lane.purpose().source);
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
               options_.untracked_ttl.count() > 0 ? "L1 entries live for l1.untracked_ttl at most"
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
  for (const auto& lane : lanes_)
    if (lane != nullptr) lane->tick(now_us);
  finish_drain();
}

void RedisBackend::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
}

void RedisBackend::finish_drain() {
  if (!drained_) return;
  for (const auto& lane : lanes_)
    if (lane != nullptr && !lane->is_quiet()) return;
  for (const auto& lane : lanes_)
    if (lane != nullptr) lane->close();
  std::exchange(drained_, nullptr)();
}

}  // namespace larder::redis
