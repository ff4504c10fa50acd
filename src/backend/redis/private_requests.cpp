#include "backend/redis/private_requests.h"

#include <algorithm>

#include "backend/redis/handshake.h"
#include "backend/redis/slot_map.h"
#include "resp/reply_cursor.h"
#include "resp/request_parser.h"

namespace larder::redis {
namespace {

bool is(const Request& request, ByteView name) noexcept {
  return equals_ignore_case(request.argv[0], name);
}

}  // namespace

std::optional<Step> PrivateRequests::take(const Request& request, const Route& route) {
  if (route.key_rule == KeyRule::block) {
    Lease* const lease = lanes_.find(*request.caller.principal, Lease::Use::watching);
    if (lease == nullptr) return std::nullopt;
    return exec_watched(request, route, *lease);
  }
  if (route.needs == Private::blocks || (route.needs == Private::may_block && asks_to_block(request)))
    return request.caller.pending() > 0 ? Step::hold
                                        : block_at(topology_.node_for(request, route), request, route);
  if (route.needs == Private::kills)
    return request.caller.pending() > 0 ? Step::hold : kill_at(topology_.any_node(), request, route);
  if (route.needs != Private::watches) return std::nullopt;
  return is(request, "watch") ? watch(request, route) : forget_watch(request, route);
}

// --- waiting ---

Step PrivateRequests::block_at(Node& node, const Request& request, const Route& route) {
  Lease* const lease = lanes_.lend(request, node, request.caller.protocol(), Lease::Use::blocking);
  if (lease == nullptr) return Step::done;
  request.caller.principal->holds.blocked = true;
  send(request, route, *lease, request.caller.defer());
  return Step::blocking;
}

Step PrivateRequests::kill_at(Node& node, const Request& request, const Route& route) {
  Lease* const lease = lanes_.lend(request, node, request.caller.protocol(), Lease::Use::killing);
  if (lease == nullptr) return Step::done;
  send(request, route, *lease, request.caller.defer());
  return Step::blocking;
}

void PrivateRequests::send(const Request& request, const Route& route, Lease& lease, Ticket ticket) {
  lease.raw = request.raw;
  lease.spec = request.spec;
  lease.route = route;
  PrivateLanes::align(lease, request.caller.db(), request.caller.protocol());
  InFlight entry;
  entry.caller = &request.caller;
  entry.ticket = ticket;
  entry.patient = lease.use == Lease::Use::blocking;
  if (is(request, "wait")) {
    // WAIT is about what its own connection has seen: everything that was answered before it.
    append_request(lease.lane->output(), {"PING"});
    entry.replies_left = 2;
  }
  host_.send_on(request, route, *lease.lane, entry);
}

// --- WATCH ---

Step PrivateRequests::watch(const Request& request, const Route& route) {
  if (request.caller.pending() > 0) return Step::hold;
  Node& node = topology_.node_for(request, route);
  Lease* lease = lanes_.find(request.caller, Lease::Use::watching);
  if (lease != nullptr) lease->lost |= lease->user != request.caller.acts_as || has_moved(*lease);
  if (lease != nullptr && lease->node != &node && !lease->lost) {
    request.reply.error("CROSSSLOT Keys in request don't hash to the same slot as those that are watched");
    return Step::done;
  }
  if (lease == nullptr) lease = lanes_.lend(request, node, request.caller.protocol(), Lease::Use::watching);
  if (lease == nullptr) return Step::done;
  request.caller.holds.watching = true;
  if (lease->lost) {  // EXEC will fail, whatever else is watched
    request.reply.ok();
    return Step::done;
  }
  note_slot(*lease, request.argv[1]);
  send(request, route, *lease, request.caller.defer());
  return Step::blocking;
}

Step PrivateRequests::forget_watch(const Request& request, const Route& route) {
  Lease* const lease = lanes_.find(request.caller, Lease::Use::watching);
  if (lease == nullptr || lease->lost) {
    unwatch(request.caller);
    request.reply.ok();
    return Step::done;
  }
  if (request.caller.pending() > 0) return Step::hold;
  send(request, route, *lease, request.caller.defer());
  return Step::blocking;
}

Step PrivateRequests::exec_watched(const Request& request, const Route& route, Lease& lease) {
  if (request.caller.pending() > 0) return Step::hold;
  // What was watched as one user is no other user's to act upon.
  lease.lost |= lease.user != request.caller.acts_as || has_moved(lease);
  const Node* const node = topology_.node_of_first_key(request, route);
  const bool is_elsewhere = node != nullptr && node != lease.node;
  if (lease.lost || is_elsewhere) {
    if (lease.lost)
      request.reply.null_array();
    else
      request.reply.error("CROSSSLOT Keys in request don't hash to the same slot as those that are watched");
    unwatch(*lease.caller);
    return Step::done;
  }
  lease.caller->holds.watching = false;  // whatever comes of it
  send(request, route, lease, request.caller.defer());
  return Step::blocking;
}

void PrivateRequests::note_slot(Lease& lease, ByteView key) const {
  const std::uint16_t slot = hash_slot(key);
  if (topology_.is_cluster() && std::ranges::count(lease.watched_slots, slot) == 0)
    lease.watched_slots.push_back(slot);
}

/// The watched keys have another master now: what changes there this connection does not hear of.
bool PrivateRequests::has_moved(const Lease& lease) {
  if (!topology_.is_cluster()) return lease.node != &topology_.any_node();
  return std::ranges::any_of(lease.watched_slots,
                             [&](std::uint16_t slot) { return &topology_.node_of_slot(slot) != lease.node; });
}

void PrivateRequests::end_watch(Lease& lease) {
  lease.caller->holds.watching = false;
  lanes_.give_back(lease);
}

void PrivateRequests::unwatch(Caller& caller) {
  caller.holds.watching = false;
  if (Lease* lease = lanes_.find(caller, Lease::Use::watching)) lanes_.close(*lease);
}

// --- what becomes of them ---

bool PrivateRequests::redirects(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (lane.lease == nullptr || !topology_.is_cluster() || entry.expired) return false;
  Lease& lease = *lane.lease;
  if (lease.use == Lease::Use::subscribing) return false;
  const Redirect redirect = parse_redirect(reply.bytes, lane.host());
  if (redirect.kind == Redirect::Kind::none) return false;
  if (redirect.kind == Redirect::Kind::moved) topology_.move_slot(redirect.slot, redirect.target);
  if (entry.kind == InFlight::Kind::block) {  // the watched keys are not where they were
    entry.caller->reply_to(entry.ticket).null_array();
    entry.caller->finish(entry.ticket);
    end_watch(lease);
    return true;
  }
  const bool moves = redirect.kind == Redirect::Kind::moved || redirect.kind == Redirect::Kind::ask;
  if (!moves || lease.is_settled || lease.hops == kMostHops) return false;
  Lease* const next =
      lanes_.take(topology_.node_at(redirect.target), *lease.caller, lease.protocol, lease.use);
  if (next == nullptr) return false;
  next->hops = lease.hops + 1;
  RequestParser parser;
  if (!next->lane->refusal().empty() || !parser.parse(lease.raw, {.max_bulk_bytes = INT64_MAX})) {
    lanes_.close(*next);
    return false;
  }
  next->watched_slots = lease.watched_slots;
  Bytes nowhere;
  ReplyWriter writer(nowhere, lease.protocol);
  if (redirect.kind == Redirect::Kind::ask) {
    append_request(next->lane->output(), {"ASKING"});
    InFlight asking;
    asking.kind = InFlight::Kind::upkeep;
    next->lane->expect(asking);
  }
  send({lease.spec, parser.argv(), lease.raw, unix_now_ms(), *entry.caller, writer}, lease.route, *next,
       entry.ticket);
  lanes_.give_back(lease);
  return true;
}

void PrivateRequests::answered(Lane& lane, const InFlight& entry, char reply_type) {
  if (lane.lease == nullptr || entry.kind == InFlight::Kind::upkeep) return;
  Lease& lease = *lane.lease;
  if (lease.use == Lease::Use::subscribing) return;
  const bool is_watch = lease.spec != nullptr && lease.spec->name == "watch";
  Bytes().swap(lease.raw);
  if (lease.use == Lease::Use::blocking || lease.use == Lease::Use::killing) {
    Caller& caller = *lease.caller;
    lanes_.give_back(lease);
    caller.holds.blocked = lanes_.find(caller, Lease::Use::blocking) != nullptr;
  } else if (lease.use == Lease::Use::watching) {
    lease.is_settled |= is_watch && reply_type != '-';
    if (!is_watch || !lease.is_settled) end_watch(lease);
  }
}

void PrivateRequests::failed(Lane& lane) {
  if (lane.lease == nullptr) return;
  Lease& lease = *lane.lease;
  lease.lost = true;
  if (lease.use == Lease::Use::blocking || lease.use == Lease::Use::killing) {
    Caller& caller = *lease.caller;
    lanes_.close(lease);
    caller.holds.blocked = lanes_.find(caller, Lease::Use::blocking) != nullptr;
  } else if (lease.use == Lease::Use::watching && (!lease.is_settled || lease.spec->name != "watch")) {
    unwatch(*lease.caller);
  }
}

void PrivateRequests::lost(Lane& lane) {
  if (lane.lease != nullptr) lane.lease->lost = true;
}

void PrivateRequests::abandon(Caller& caller) {
  caller.holds = {};
  lanes_.abandon(caller);
}

// --- CLIENT UNBLOCK ---

/// Redis must end the wait: what it pops at this very moment would be lost otherwise.
void PrivateRequests::unblock(Caller& caller, Backend::Unblock how, std::function<void(bool)> done) {
  struct Question {
    std::size_t open;
    bool any_ended;
    std::function<void(bool)> done;
  };
  const std::vector<Lease*> leases = lanes_.find_all(caller, Lease::Use::blocking);
  if (leases.empty()) return done(false);
  const auto question = std::make_shared<Question>(Question{leases.size(), false, std::move(done)});
  for (Lease* const lease : leases)
    end_wait(*lease, how, [question](bool ended) {
      question->any_ended |= ended;
      if (--question->open == 0) question->done(question->any_ended);
    });
}

void PrivateRequests::end_wait(const Lease& lease, Backend::Unblock how, std::function<void(bool)> done) {
  const std::int64_t id = lease.lane->client_id();
  if (id == 0) return done(false);
  Lane& lane = lease.node->usual_lane();
  if (!lane.refusal().empty()) return done(false);
  InFlight entry;
  entry.kind = InFlight::Kind::unblock;
  entry.index = unblocks_.take();
  unblocks_[entry.index] = std::move(done);
  append_request(lane.output(), {"CLIENT", "UNBLOCK", std::to_string(id),
                                 how == Backend::Unblock::error ? "ERROR" : "TIMEOUT"});
  lane.expect(entry);
}

void PrivateRequests::unblocked(const InFlight& entry, std::optional<ByteView> reply) {
  if (auto done = std::exchange(unblocks_[entry.index], nullptr)) done(reply == ":1\r\n");
}

}  // namespace larder::redis
