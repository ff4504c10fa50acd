#include "backend/redis/reads.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include "backend/redis/answer.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

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

}  // namespace

Step Reads::execute(const Request& request) {
  return request.spec == get_ ? get(request) : mget(request);
}

/// An open write of the client's own pipeline comes first, wherever it is.
bool Reads::may_use_l1(const Request& request, const KeyRef& key) const noexcept {
  return request.caller.pending() == 0 || !open_writes_.may_touch(key.hash);
}

Step Reads::get(const Request& request) {
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

Step Reads::fill(const Request& request, const KeyRef& key) {
  Lane& lane = topology_.node_of(key.bytes).lane(Protocol::resp3, key.db);
  if (!lane.keeps_order(request.caller)) return Step::hold;
  const Epoch epoch = keyspace_.epoch(key.hash);
  if (Flight* flight = flights_.find(key, epoch)) {
    context_.statistics.joined.add();
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

void Reads::join(Flight& flight, const Request& request, const Lane& lane) {
  request.caller.lane = &lane;
  flight.waiters.push_back({&request.caller, request.caller.defer()});
}

FillTerms Reads::terms_of(const Lane& lane, const Request& request) const noexcept {
  const SourceId source = lane.purpose().source;
  return {request.now_ms, source, keyspace_.source_generation(source)};
}

void Reads::finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply) {
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
bool Reads::may_fill(const Lane& lane) const noexcept {
  return lane.is_tracked() || context_.options.untracked_ttl.count() > 0;
}

UnixMs Reads::expiry_of(const Lane& lane, UnixMs sent_ms, std::int64_t ttl_ms) const noexcept {
  const UnixMs expiry = ttl_ms >= 0 ? sent_ms + ttl_ms : kNoExpiry;
  if (lane.is_tracked()) return expiry;
  const UnixMs longest = sent_ms + context_.options.untracked_ttl.count();
  return expiry == kNoExpiry ? longest : std::min(expiry, longest);
}

/// Stores what PTTL and GET agree on; when they do not, the key changed between them.
void Reads::store(const Lane& lane, const KeyRef& key, ByteView value, bool absent, std::int64_t ttl_ms,
                  Epoch noted, const FillTerms& terms) {
  if (!may_fill(lane) || ttl_ms == kTtlUnknown || absent != (ttl_ms == kTtlAbsent)) return;
  const UnixMs expiry = expiry_of(lane, terms.sent_ms, ttl_ms);
  const bool stored = absent ? keyspace_.fill_absent(key, expiry, noted, terms.source, terms.generation)
                             : keyspace_.fill(key, value, expiry, noted, terms.source, terms.generation);
  if (stored) context_.statistics.fills.add();
}

Step Reads::mget(const Request& request) {
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
Step Reads::fill_many(const Request& request) {
  Lane& lane = topology_.node_of(request.argv[1]).lane(Protocol::resp3, request.caller.db());
  if (!lane.keeps_order(request.caller)) return Step::hold;
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
void Reads::store_many(const Lane& lane, const ManyFlight& flight, ByteView reply) {
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
  if (entry.kind == InFlight::Kind::many_fill) return answer_error({entry.caller, entry.ticket}, error);
  Flight& flight = flights_[entry.index];
  flights_.seal(entry.index);
  for (const Waiter& waiter : flight.waiters) answer_error(waiter, error);
  flight.waiters.clear();
}

void Reads::forget(const InFlight& entry) {
  if (entry.kind == InFlight::Kind::fill)
    flights_.close(entry.index);
  else
    many_.give_back(entry.index);
}

}  // namespace larder::redis
