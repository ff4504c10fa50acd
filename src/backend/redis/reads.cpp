#include "backend/redis/reads.h"

#include <algorithm>

#include <fmt/compile.h>
#include <fmt/format.h>

#include "backend/redis/answer.h"
#include "backend/redis/one_item.h"
#include "base/clock.h"
#include "keyspace/answers.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::size_t kKeptRoom = 1 << 20;
constexpr ByteView kPttl = "*2\r\n$4\r\nPTTL\r\n$";

void append_pttl(Bytes& out, ByteView key) {
  out.append(kPttl);
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}\r\n"), key.size());
  out.append(key).append("\r\n");
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

/// The row of the read that a request is, if it is one in this form.
const CachedRead* read_of(const Request& request, const Route& route) noexcept {
  const bool fits =
      route.read != nullptr && request.argv.size() >= 2 && request.argv.size() <= route.read->most_arguments;
  return fits ? route.read : nullptr;
}

/// True for reads whose handler can tell the reply from the value.
bool has_handler(const Request& request) noexcept {
  return request.spec != nullptr && request.spec->run != nullptr;
}

}  // namespace

// --- which reads ---

bool Reads::serves(const Request& request, const Route& route) {
  const bool is_read = request.spec == get_ || request.spec == mget_ || read_of(request, route) != nullptr;
  return is_read && (!policy_.has_rules() || is_allowed(request, route));
}

/// What the operator's rules say of the request's keys.
bool Reads::is_allowed(const Request& request, const Route& route) {
  if (request.spec == mget_)
    return std::ranges::all_of(request.argv.subspan(1),
                               [this](ByteView key) { return policy_.treatment(key) == Treatment::cache; });
  const Treatment treatment = policy_.treatment(request.argv[1]);
  return treatment == Treatment::cache || (treatment == Treatment::observe && !observe(request, route));
}

/// Counts whether L1 could have answered, and tells it.
bool Reads::observe(const Request& request, const Route& route) {
  put_question(request, read_of(request, route));
  const bool known = keyspace_.knows({request.caller.db(), request.argv[1]}, request.now_ms, question_);
  (known ? context_.statistics.observed_hits : context_.statistics.observed_misses).add();
  return known;
}

void Reads::put_question(const Request& request, const CachedRead* read) {
  question_.clear();
  if (read != nullptr) append_question(*read, request, question_);
}

bool Reads::answers(const Request& request, const Route& route) {
  if (!serves(request, route)) return false;
  if (request.spec == mget_) return answer_many_from_l1(request, Trust::current);
  put_question(request, read_of(request, route));
  return answer_from_l1(request, {request.caller.db(), request.argv[1]}, Trust::current);
}

Step Reads::execute(const Request& request, const Route& route) {
  if (request.spec == get_) return get(request);
  return request.spec == mget_ ? mget(request) : ask(request, *route.read);
}

// --- from L1 ---

/// An open write of the client's own pipeline comes first, wherever it is, and one that waits to be sent at
/// all. Nor does L1 answer for keys that are only observed.
bool Reads::may_use_l1(const Request& request, const KeyRef& key) const noexcept {
  const bool comes_first = request.caller.pending() == 0 ||
                           (!open_writes_.may_touch(key.hash) && request.caller.client().lane != &kWaits);
  return comes_first && policy_.treatment(key.bytes) == Treatment::cache;
}

/// What L1 holds on the word of a tracked connection is voided when that tells of a change.
bool Reads::is_heard_of(Trust trust) const noexcept {
  return trust == Trust::current && !policy_.keeps_untracked();
}

Step Reads::get(const Request& request) {
  const KeyRef key(request.caller.db(), request.argv[1]);
  if (may_use_l1(request, key)) {
    const Lookup found =
        keyspace_.read(key, request.now_ms, [&](const Item& item) { request.reply.bulk(item.value); });
    request.caller.is_heard_of = found != Lookup::miss && is_heard_of(Trust::current);
    if (found == Lookup::hit) return Step::done;
    if (found == Lookup::absent) {
      request.reply.null();
      return Step::done;
    }
  }
  question_.clear();
  return fill(request, key, nullptr);
}

Step Reads::ask(const Request& request, const CachedRead& read) {
  const KeyRef key(request.caller.db(), request.argv[1]);
  put_question(request, &read);
  if (answer_from_l1(request, key, Trust::current)) return Step::done;
  return fill(request, key, &read);
}

/// Looks for the answer to `question_`.
Lookup Reads::look_up(const KeyRef& key, UnixMs now_ms, Trust trust, FunctionRef<void(const Item&)> visit) {
  return trust == Trust::current ? keyspace_.read(key, now_ms, visit, question_)
                                 : keyspace_.read_stale(key, now_ms, visit, question_);
}

/// What the connection brought is void, and nothing better can be had over it at present.
bool Reads::has_lost(const Lane& lane) const noexcept {
  return policy_.serves_stale() && !lane.is_ready();
}

/// A known answer, or what the command's handler makes of a known value.
bool Reads::answer_from_l1(const Request& request, const KeyRef& key, Trust trust) {
  if (!may_use_l1(request, key)) return false;
  bool answered = false;
  const auto run_handler = [&](const std::optional<Item>& item) {
    if (!has_handler(request)) return;
    OneItem records(item);
    Call call{request.argv, key.db, request.now_ms, request.reply};
    request.spec->run(call, records);
    answered = true;
  };
  const auto show = [&](const Item& item) {
    if (item.type != Type::answers) return run_handler(item);
    request.reply.raw(item.value);
    answered = true;
  };
  if (look_up(key, request.now_ms, trust, show) == Lookup::absent) run_handler(std::nullopt);
  if (answered && trust == Trust::stale_too) context_.statistics.stale_served.add();
  request.caller.is_heard_of = answered && is_heard_of(trust);
  return answered;
}

// --- from Redis ---

/// Sends the read, whose question is in `question_`, unless the same one is under way.
Step Reads::fill(const Request& request, const KeyRef& key, const CachedRead* read) {
  Lane& lane = topology_.node_of(key.bytes).lane(Protocol::resp3, key.db);
  if (has_lost(lane) && answer_from_l1(request, key, Trust::stale_too)) return Step::done;
  if (!lane.keeps_order(request.caller)) return Step::hold;
  const Epoch epoch = keyspace_.epoch(key.hash);
  if (Flight* flight = flights_.find(key, question_, epoch)) {
    context_.statistics.joined.add();
    join(*flight, request, lane);
    return Step::pending;
  }
  if (const ByteView refusal = lane.refusal(); !refusal.empty())
    return context_.owner.refuse(lane, request, refusal);
  if (!lane.has_room_for(request.caller)) return Step::hold;
  InFlight entry;
  entry.kind = InFlight::Kind::fill;
  entry.reads = true;
  entry.replies_left = 2;
  entry.errand = errands_.keep(request, 0);
  errands_[entry.errand].read = read;
  entry.index = flights_.open(key, read, question_, epoch, terms_of(lane, request));
  Flight& flight = flights_[entry.index];
  flight.protocol = request.caller.protocol();
  flight.has_handler = has_handler(request);
  join(flight, request, lane);
  append_pttl(lane.output(), key.bytes);
  lane.output().append(request.raw);
  lane.expect(entry);
  return Step::pending;
}

void Reads::join(Flight& flight, const Request& request, const Lane& lane) {
  lane.take_order(request.caller);
  flight.waiters.push_back({&request.caller, request.caller.defer()});
}

FillTerms Reads::terms_of(const Lane& lane, const Request& request) const noexcept {
  const SourceId source = lane.purpose().source;
  return {request.now_ms, source, keyspace_.source_generation(source)};
}

void Reads::finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply) {
  Flight& flight = flights_[index];
  const ByteView shown = in_their_protocol(flight, reply);
  store(lane, flight, reply, shown);
  flights_.seal(index);
  for (const Waiter& waiter : flight.waiters) {
    ReplyWriter writer = waiter.caller->reply_to(waiter.ticket);
    if (is_null(reply))
      writer.null();
    else
      writer.raw(shown);
    waiter.caller->upstream_us = reply.took_us;
    waiter.caller->is_heard_of = larder::redis::is_heard_of(*waiter.caller, reply);
    waiter.caller->finish(waiter.ticket);
  }
  flights_.close(index);
}

/// The reply as all who wait for it read it. GET's waiters may differ, but its reply differs in null only.
ByteView Reads::in_their_protocol(const Flight& flight, const Reply& reply) {
  const bool converts = flight.read != nullptr && flight.protocol == Protocol::resp2 && reply.needs_resp3;
  if (!converts) return reply.bytes;
  if (converted_.capacity() > kKeptRoom) Bytes().swap(converted_);
  converted_.clear();
  append_as_resp2(reply.bytes, converted_, flight.read->nesting);
  return converted_;
}

void Reads::store(const Lane& lane, const Flight& flight, const Reply& reply, ByteView shown) {
  if (reply.type == '-' || reply.type == '!') return;
  const KeyRef key = flight.key_ref();
  const bool knows_absence =
      flight.read == nullptr ? is_null(reply) : flight.has_handler && flight.ttl_ms == kTtlAbsent;
  if (flight.read != nullptr && !knows_absence) return store_answer(lane, flight, shown);
  if (knows_absence || reply.type == '$')
    store_value(lane, key, knows_absence ? ByteView() : bulk_of(reply.bytes), knows_absence, flight.ttl_ms,
                flight.epoch, flight.terms);
}

/// Until when L1 may believe what was read; nothing when it must not.
std::optional<UnixMs> Reads::believed_until(const Lane& lane, UnixMs sent_ms, std::int64_t ttl_ms) const {
  if (ttl_ms == kTtlUnknown || (!lane.is_tracked() && !policy_.keeps_untracked())) return std::nullopt;
  return policy_.expiry_of({sent_ms, ttl_ms, lane.is_tracked(), ttl_ms == kTtlAbsent});
}

void Reads::store_answer(const Lane& lane, const Flight& flight, ByteView shown) {
  const auto expiry = believed_until(lane, flight.terms.sent_ms, flight.ttl_ms);
  if (!expiry) return;
  const Answer answer{flight.question, shown};
  const FillTerms& terms = flight.terms;
  if (keyspace_.fill_answer(flight.key_ref(), answer, *expiry, flight.epoch, terms.source, terms.generation))
    context_.statistics.fills.add();
}

/// Stores what PTTL and GET agree on; when they do not, the key changed between them.
void Reads::store_value(const Lane& lane, const KeyRef& key, ByteView value, bool absent, std::int64_t ttl_ms,
                        Epoch noted, const FillTerms& terms) {
  const auto expiry = believed_until(lane, terms.sent_ms, ttl_ms);
  if (!expiry || absent != (ttl_ms == kTtlAbsent)) return;
  const bool stored = absent ? keyspace_.fill_absent(key, *expiry, noted, terms.source, terms.generation)
                             : keyspace_.fill(key, value, *expiry, noted, terms.source, terms.generation);
  if (stored) context_.statistics.fills.add();
}

Step Reads::mget(const Request& request) {
  return answer_many_from_l1(request, Trust::current) ? Step::done : fill_many(request);
}

bool Reads::answer_many_from_l1(const Request& request, Trust trust) {
  question_.clear();
  ReplyWriter& reply = request.reply;
  const std::size_t start = reply.buffer().size();
  const auto names = request.argv.subspan(1);
  reply.begin_array(names.size());
  for (const ByteView name : names) {
    const KeyRef key(request.caller.db(), name);
    const Lookup found =
        !may_use_l1(request, key)
            ? Lookup::miss
            : look_up(key, request.now_ms, trust, [&](const Item& item) { reply.bulk(item.value); });
    if (found == Lookup::miss) {
      reply.buffer().resize(start);
      return false;
    }
    if (found == Lookup::absent) reply.null();
  }
  if (trust == Trust::stale_too) context_.statistics.stale_served.add();
  request.caller.is_heard_of = is_heard_of(trust);
  return true;
}

/// MGET goes out as the client sent it, so its answer is of one moment; a PTTL before it for each key that L1
/// lacks makes the answer fit for L1.
Step Reads::fill_many(const Request& request) {
  Lane& lane = topology_.node_of(request.argv[1]).lane(Protocol::resp3, request.caller.db());
  if (has_lost(lane) && answer_many_from_l1(request, Trust::stale_too)) return Step::done;
  if (!lane.keeps_order(request.caller)) return Step::hold;
  if (const ByteView refusal = lane.refusal(); !refusal.empty())
    return context_.owner.refuse(lane, request, refusal);
  if (!lane.has_room_for(request.caller)) return Step::hold;
  InFlight entry;
  entry.kind = InFlight::Kind::many_fill;
  entry.reads = true;
  entry.converts = request.caller.protocol() == Protocol::resp2;
  entry.index = many_.take();
  ManyFlight& flight = many_[entry.index];
  flight.clear();
  flight.db = request.caller.db();
  flight.terms = terms_of(lane, request);
  for (std::size_t i = 1; i < request.argv.size(); ++i) {
    const KeyRef key(flight.db, request.argv[i]);
    if (keyspace_.knows(key, request.now_ms)) continue;
    flight.add(i - 1, key.bytes, keyspace_.epoch(key.hash));
    append_pttl(lane.output(), key.bytes);
  }
  entry.replies_left = static_cast<std::uint32_t>(flight.parts.size()) + 1;
  lane.output().append(request.raw);
  lane.take_order(request.caller);
  entry.caller = &request.caller;
  entry.ticket = request.caller.defer();
  entry.errand = errands_.keep(request, entry.ticket);
  lane.expect(entry);
  return Step::pending;
}

/// A null may also be a key that holds something else than a string: it is believed absent only if PTTL says
/// so.
void Reads::store_many(const Lane& lane, const ManyFlight& flight, ByteView reply) {
  ReplyCursor cursor(reply);
  cursor.skip_header();
  std::size_t position = 0;
  for (const ManyFlight::Part& part : flight.parts) {
    cursor.skip(static_cast<std::int64_t>(part.position - position));
    const ReplyCursor::Value value = cursor.next();
    position = part.position + 1;
    const KeyRef key(flight.db, flight.key_of(part));
    store_value(lane, key, value.text, value.is_null(), part.ttl_ms, part.epoch, flight.terms);
  }
}

void Reads::on_reply(const Lane& lane, const InFlight& entry, const Reply& reply) {
  if (entry.kind == InFlight::Kind::fill) {
    if (entry.replies_left > 0)
      flights_[entry.index].ttl_ms = ttl_of(reply);
    else
      finish_fill(lane, entry.index, reply);
  } else if (entry.replies_left > 0) {
    many_[entry.index].add_ttl(ttl_of(reply));
  } else {
    finish_many(lane, entry, reply);
  }
}

void Reads::finish_many(const Lane& lane, const InFlight& entry, const Reply& reply) {
  if (reply.type == '*') store_many(lane, many_[entry.index], reply.bytes);
  many_.give_back(entry.index);
  if (!entry.expired) answer(entry, reply);
}

void Reads::fail(const InFlight& entry, ByteView error) {
  const std::int64_t upstream_us = steady_now_us() - entry.sent_us;
  if (entry.kind == InFlight::Kind::many_fill)
    return answer_error({entry.caller, entry.ticket}, error, upstream_us);
  Flight& flight = flights_[entry.index];
  flights_.seal(entry.index);
  for (const Waiter& waiter : flight.waiters) answer_error(waiter, error, upstream_us);
  flight.waiters.clear();
}

std::vector<Waiter> Reads::take_waiters(const InFlight& entry) {
  std::vector<Waiter> waiters = std::move(flights_[entry.index].waiters);
  flights_.close(entry.index);
  return waiters;
}

void Reads::forget(const InFlight& entry) {
  if (entry.kind == InFlight::Kind::fill)
    flights_.close(entry.index);
  else
    many_.give_back(entry.index);
}

}  // namespace larder::redis
