#include "backend/redis/blocks.h"

#include "backend/block.h"
#include "backend/redis/slot_map.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

/// Behind MULTI it is queued and answers at once. Where MULTI was refused it never ends, so nothing that
/// stands behind it is run before Larder has read that and cut the connection.
constexpr ByteView kStop = "*3\r\n$4\r\nWAIT\r\n$10\r\n2147483647\r\n$1\r\n0\r\n";

bool is_redirect(ByteView error) noexcept {
  return parse_redirect(error, {}).kind != Redirect::Kind::none;
}

}  // namespace

/// MULTI and each queued command are answered, then EXEC; the connection is in its own database again then.
void Blocks::send(const Request& request, const Route& route, Lane& lane, InFlight entry) {
  entry.kind = InFlight::Kind::block;
  entry.index = blocks_.take();
  Block& block = blocks_[entry.index];
  Bytes replaced;
  block = {.asked = route.queued, .queued = route.queued, .guard = lane.block_guard(), .tells = route.tells};
  if (entry.scripted) {
    tag_requests_.append_block(request, route, lane, replaced, block.shown);
    block.queued = static_cast<std::uint32_t>(block.shown.size());
  }
  const ByteView behind_multi =
      (entry.scripted ? ByteView(replaced) : request.raw).substr(kBlockBegin.size());
  block.bytes = behind_multi.size();
  entry.replies_left += block.queued + 1;
  lane.output().append(kBlockBegin);
  if (block.is_gated()) {
    lane.close_gate();
  } else {
    lane.output().append(kStop);
    ++entry.replies_left;
  }
  lane.output().append(behind_multi);
  lane.expect(entry);
  if (!route.selects) return;
  append_request(lane.output(), {"SELECT", std::to_string(lane.purpose().db)});
  InFlight select;
  select.kind = InFlight::Kind::upkeep;
  lane.expect(select);
}

void Blocks::on_reply(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer) {
  Block& block = blocks_[entry.index];
  if (entry.replies_left == 0) return finish(lane, entry, reply, answer);
  if (reply.type == '-' && block.refusal.empty()) block.refusal = reply.bytes;
  const std::uint32_t behind_multi = block.queued + (block.is_gated() ? 1 : 2);
  if (entry.replies_left == behind_multi) return on_multi_reply(lane, entry, reply, answer);
  if (!block.is_gated() && entry.replies_left == behind_multi - 1) {
    block.lacks_wait = reply.type == '-';
    lane.set_block_guard(block.lacks_wait ? Lane::BlockGuard::gate : Lane::BlockGuard::wait);
  }
}

void Blocks::on_multi_reply(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer) {
  Block& block = blocks_[entry.index];
  block.was_begun = reply.type != '-';
  if (block.was_begun && block.is_gated()) {
    if (block.guard == Lane::BlockGuard::probation) lane.set_block_guard(Lane::BlockGuard::unknown);
    return lane.open_gate();
  }
  if (block.was_begun) return;
  if (!block.is_gated()) return lane.cut_at_block();  // on_lost() answers
  lane.drop_behind_gate(block.bytes);
  blocks_.give_back(entry.index);
  InFlight answered = entry;
  answered.replies_left = 0;
  answer(answered, reply);
}

/// A command that Redis did not queue makes EXEC fail: a redirect sends the whole block elsewhere, and who
/// lacks nothing but WAIT has it sent in the other way.
void Blocks::finish(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer) {
  const Block block = std::exchange(blocks_[entry.index], {});
  blocks_.give_back(entry.index);
  if (block.lacks_wait && block.guard == Lane::BlockGuard::unknown && retries_.sends_again(lane, entry))
    return;
  if (reply.type == '-' && (is_redirect(block.refusal) || block.lacks_wait))
    return answer(entry, Reply{block.refusal, '-', false});
  const bool is_as_it_is = block.is_gated() && block.shown.empty();
  if (is_as_it_is || reply.type != '*' || reply.bytes[1] == '-') return answer(entry, reply);
  const Bytes shown = shown_of(block, reply.bytes);
  answer(entry, {shown, '*', reply.needs_resp3, reply.took_us, reply.tracked, reply.is_asked});
}

/// EXEC's reply as its client gets it: without what Larder has queued, and what it was told.
Bytes Blocks::shown_of(const Block& block, ByteView reply) {
  ByteView elements = reply.substr(reply.find('\n') + 1);
  if (!block.is_gated()) elements.remove_prefix(elements.find('\n') + 1);  // WAIT's
  Bytes shown;
  ReplyWriter(shown, Protocol::resp2).begin_array(block.asked);
  if (block.shown.empty()) return shown.append(elements);
  ReplyCursor cursor(elements);
  for (const Shown how : block.shown) {
    const ByteView element = cursor.take();
    if (how == Shown::not_at_all) continue;
    const std::optional<Bytes> names =
        how == Shown::without_names ? without_names(element, tag_state_.prefix) : std::nullopt;
    if (how == Shown::count)
      append_told(element, shown);
    else
      shown.append(names ? ByteView(*names) : element);
  }
  return shown;
}

/// The keys that a queued sweep has dropped are void, in whichever database of the block that was.
void Blocks::append_told(ByteView reply, Bytes& shown) {
  ReplyCursor cursor(reply);
  if (cursor.next().type != '*') {
    shown.append(reply);
    return;
  }
  const std::int64_t count = cursor.next().integer();
  tag_state_.dropped.fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
  for (std::int64_t left = cursor.next().count; left > 0; --left)
    context_.keyspace.void_key_everywhere(cursor.next().text);
  ReplyWriter(shown, Protocol::resp2).integer(count);
}

void Blocks::doubt(const InFlight& entry) {
  if (blocks_[entry.index].tells) context_.keyspace.void_all();
}

Bytes Blocks::take_lost(const InFlight& entry, LaneOwner::Fate fate) {
  doubt(entry);
  Block block = std::exchange(blocks_[entry.index], {});
  blocks_.give_back(entry.index);
  const bool was_refused = fate == LaneOwner::Fate::not_run && !block.was_begun;
  return was_refused ? std::move(block.refusal) : Bytes();
}

}  // namespace larder::redis
