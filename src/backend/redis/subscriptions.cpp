#include "backend/redis/subscriptions.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "backend/redis/slot_map.h"
#include "base/clock.h"
#include "base/log.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr ByteView kOtherUser =
    "ERR this connection has subscribed as another user: subscribe on a new connection";
/// Some libraries come back at once, whenever they could connect.
constexpr std::int64_t kTurnAwayUs = 1'000'000;
constexpr ByteView kNoResp3 = "ERR the Redis behind Larder does not speak RESP3, which subscriptions need";

bool has_plain(const Lease& lease) noexcept {
  return lease.subscribed.channels + lease.subscribed.patterns > 0;
}

Subscription command_of(const InFlight& entry) noexcept {
  return static_cast<Subscription>(entry.index);
}

/// How many confirmations a connection will give.
std::uint32_t confirmations(std::size_t names, const Subscribed& subscribed, Subscription command) noexcept {
  return names > 0 ? static_cast<std::uint32_t>(names) : std::max(count_of(subscribed, command), 1u);
}

}  // namespace

Step Subscriptions::take(const Request& request, const Route& route) {
  Caller& client = request.caller;
  if (client.pending() > 0) return Step::hold;
  const Subscription command = *find_subscription(request.argv[0]);
  Lease* lease = find(request, route, command);
  if (lease == nullptr && !adds(command)) return answer_none(request, command);
  if (lease == nullptr) {
    Node& node = pick_node(request, route, command);
    lease = lanes_.take(node, client, Protocol::resp3, Lease::Use::subscribing);
    if (lease == nullptr) {
      lanes_.refuse(request);
      return Step::done;
    }
    if (!lease->lane->refusal().empty()) return refuse(request, *lease);
  }
  if (adds(command) && lease->user != client.acts_as) {
    request.reply.error(kOtherUser);
    return Step::done;
  }
  client.holds.subscribing = true;
  InFlight entry;
  entry.kind = InFlight::Kind::subscription;
  entry.index = static_cast<std::uint32_t>(command);
  entry.caller = &client;
  entry.ticket = client.defer();
  entry.replies_left = confirmations(request.argv.size() - 1, lease->subscribed, command);
  lease->hops = 0;
  ask(*lease, Bytes(request.raw), entry);
  return Step::blocking;
}

Step Subscriptions::refuse(const Request& request, Lease& lease) {
  const bool lacks_rights = lease.lane->lost_its_rights();
  if (lacks_rights) request.reply.error(lease.lane->refusal());
  lanes_.close(lease);
  return lacks_rights ? Step::done : turn_away(request);
}

/// The connection that has, or is to have, what the request is about.
Lease* Subscriptions::find(const Request& request, const Route& route, Subscription command) {
  const auto find_where = [&](auto is) { return lanes_.find(request.caller, Lease::Use::subscribing, is); };
  const bool names_any = request.argv.size() > 1;
  if (is_sharded(command) && names_any) {
    const Node& node = topology_.node_for(request, route);
    return find_where([&node](const Lease& lease) { return lease.node == &node; });
  }
  Lease* const in_use = find_where([command](const Lease& lease) {
    return is_sharded(command) ? lease.subscribed.shard_channels > 0 : has_plain(lease);
  });
  if (in_use != nullptr || !names_any) return in_use;
  return find_where([](const Lease&) { return true; });
}

/// A message on a channel that has no slot reaches all nodes of a cluster: subscribers are spread over them.
Node& Subscriptions::pick_node(const Request& request, const Route& route, Subscription command) {
  if (!topology_.is_cluster() || is_sharded(command)) return topology_.node_for(request, route);
  std::vector<Node*> nodes;
  topology_.for_each_master([&nodes](Node& node) {
    if (node.is_connected()) nodes.push_back(&node);
  });
  return nodes.empty() ? topology_.any_node() : *nodes[next_node_++ % nodes.size()];
}

/// The client has no connection where that could be subscribed to.
Step Subscriptions::answer_none(const Request& request, Subscription command) {
  Caller& client = request.caller;
  const Ticket ticket = client.defer();
  const std::uint32_t count = told_count(client.holds.subscribed, command);
  Bytes pushes;
  ReplyWriter out(pushes, client.protocol());
  if (request.argv.size() == 1) append_confirmation(command, std::nullopt, count, out);
  for (const ByteView name : request.argv.subspan(1)) append_confirmation(command, name, count, out);
  client.push(pushes);
  client.finish(ticket);
  return Step::pending;
}

void Subscriptions::ask(Lease& lease, Bytes request, const InFlight& what) {
  lease.raw = std::move(request);
  lease.lane->output().append(lease.raw);
  lease.lane->expect(what);
}

// --- in order with the messages ---

Step Subscriptions::ping(const Request& request) {
  Caller& client = request.caller;
  Lane& lane = *lanes_.find(client, Lease::Use::subscribing)->lane;
  if (!lane.keeps_order(client)) return Step::hold;
  InFlight entry;
  entry.kind = InFlight::Kind::pong;
  entry.caller = &client;
  entry.ticket = client.defer();
  lane.output().append(request.raw);
  lane.take_order(client);
  lane.expect(entry);
  return Step::pending;
}

/// In RESP2 a subscriber gets an array, which Redis would give to a connection that speaks it.
void Subscriptions::on_pong(const InFlight& entry, const Reply& reply) {
  if (entry.expired) return;
  ReplyWriter out = entry.caller->reply_to(entry.ticket);
  if (out.protocol() == Protocol::resp3 || reply.type == '-') {
    out.raw(reply.bytes);
  } else {
    out.begin_array(2);
    out.bulk("pong");
    out.bulk(reply.type == '+' ? ByteView() : ReplyCursor(reply.bytes).next().text);
  }
  entry.caller->upstream_us = reply.took_us;
  entry.caller->finish(entry.ticket);
}

Lane* Subscriptions::lane_for(const Request& request, const Route& route) {
  const bool is_sharded = equals_ignore_case(request.argv[0], "spublish");
  if (!is_sharded && !equals_ignore_case(request.argv[0], "publish")) return nullptr;
  const Node* const node = is_sharded ? &topology_.node_for(request, route) : nullptr;
  const Lease* const lease =
      lanes_.find(request.caller, Lease::Use::subscribing, [&](const Lease& candidate) {
        const bool has_it = is_sharded ? candidate.node == node : has_plain(candidate);
        return has_it && candidate.user == request.caller.acts_as;
      });
  return lease == nullptr ? nullptr : lease->lane.get();
}

// --- what Redis says ---

void Subscriptions::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (lane.lease == nullptr || entry.expired) return;
  Lease& lease = *lane.lease;
  Caller& client = *lease.caller;
  if (reply.type == '>') confirm(lease, parse_subscription_push(reply.bytes));
  if (entry.replies_left > 0 && reply.type == '>') return;
  if (lane.lease == nullptr) return client.finish(entry.ticket);
  if (goes_on(lease, entry, reply)) return let_go_if_unused(lease);
  const bool understood = reply.type == '>' || reply.type == '-';
  if (reply.type == '-') client.reply_to(entry.ticket).raw(reply.bytes);
  if (!understood) client.reply_to(entry.ticket).error(kNoResp3);
  client.upstream_us = reply.took_us;
  client.finish(entry.ticket);
  Bytes().swap(lease.raw);
  if (understood)
    let_go_if_unused(lease);
  else
    close(lease);
}

/// True when another connection has the word now.
bool Subscriptions::goes_on(Lease& lease, const InFlight& entry, const Reply& reply) {
  return reply.type == '-' ? redirects(lease, entry, reply) : goes_on_elsewhere(lease, entry);
}

/// SUNSUBSCRIBE without names means the channels of all slots, and so of all nodes.
bool Subscriptions::goes_on_elsewhere(Lease& lease, const InFlight& entry) {
  const bool means_all = command_of(entry) == Subscription::sunsubscribe && lease.raw.starts_with("*1\r\n");
  if (!means_all) return false;
  Lease* const next = lanes_.find(*lease.caller, Lease::Use::subscribing, [&lease](const Lease& other) {
    return &other != &lease && other.subscribed.shard_channels > 0;
  });
  if (next == nullptr) return false;
  InFlight again = entry;
  again.replies_left = next->subscribed.shard_channels;
  ask(*next, std::exchange(lease.raw, {}), again);
  return true;
}

bool Subscriptions::redirects(Lease& lease, const InFlight& entry, const Reply& reply) {
  if (!topology_.is_cluster()) return false;
  const Redirect redirect = parse_redirect(reply.bytes, lease.lane->host());
  if (redirect.kind != Redirect::Kind::moved) return false;
  topology_.move_slot(redirect.slot, redirect.target);
  Node& node = topology_.node_at(redirect.target);
  if (&node == lease.node || lease.hops == kMostHops) return false;
  Lease* next = lanes_.find(*lease.caller, Lease::Use::subscribing,
                            [&node](const Lease& other) { return other.node == &node; });
  if (next == nullptr) next = lanes_.take(node, *lease.caller, Protocol::resp3, Lease::Use::subscribing);
  if (next == nullptr) return false;
  if (!next->lane->refusal().empty()) {
    close(*next);
    return false;
  }
  next->hops = lease.hops + 1;
  InFlight again = entry;
  again.replies_left = static_cast<std::uint32_t>(ReplyCursor(lease.raw).next().count - 1);
  ask(*next, std::exchange(lease.raw, {}), again);
  return true;
}

void Subscriptions::on_push(Lane& lane, ByteView bytes) {
  if (lane.lease == nullptr) return;
  Lease& lease = *lane.lease;
  const SubscriptionPush push = parse_subscription_push(bytes);
  if (push.kind == SubscriptionPush::Kind::message) {
    push_.clear();
    ReplyWriter out(push_, lease.caller->protocol());
    append_message(bytes, out);
    return lease.caller->push(push_);
  }
  if (push.kind != SubscriptionPush::Kind::confirmation) return;
  confirm(lease, push);  // the slot has moved away
  if (lane.lease != nullptr) let_go_if_unused(lease);
}

/// The client may be cut off, as it does not read, and the loan end with that.
void Subscriptions::confirm(Lease& lease, const SubscriptionPush& confirmation) {
  const Subscribed before = lease.subscribed;
  update(lease.subscribed, confirmation);
  Subscribed& all = lease.caller->holds.subscribed;
  all.channels += lease.subscribed.channels - before.channels;
  all.patterns += lease.subscribed.patterns - before.patterns;
  all.shard_channels += lease.subscribed.shard_channels - before.shard_channels;
  push_.clear();
  ReplyWriter out(push_, lease.caller->protocol());
  append_confirmation(confirmation.command, confirmation.name, told_count(all, confirmation.command), out);
  lease.caller->push(push_);
}

// --- its end ---

void Subscriptions::let_go_if_unused(Lease& lease) {
  if (lease.subscribed.any() || !lease.raw.empty()) return;
  Caller& client = *lease.caller;
  lanes_.give_back(lease);
  client.holds.subscribing = lanes_.find(client, Lease::Use::subscribing) != nullptr;
}

void Subscriptions::close(Lease& lease) {
  Caller& client = *lease.caller;
  lanes_.close(lease);
  client.holds.subscribing = lanes_.find(client, Lease::Use::subscribing) != nullptr;
}

void Subscriptions::turn_away(Caller& client, Ticket ticket) {
  turned_away_.push_back({&client, ticket, steady_now_us() + kTurnAwayUs});
}

Step Subscriptions::turn_away(const Request& request) {
  if (request.caller.pending() > 0) return Step::hold;
  if (const Subscription command = *find_subscription(request.argv[0]); !adds(command))
    return answer_none(request, command);
  turn_away(request.caller, request.caller.defer());
  return Step::blocking;
}

void Subscriptions::failed(Lane& lane) {
  if (lane.lease == nullptr) return;
  if (lane.lease->subscribed.any())
    disconnect(*lane.lease->caller, lane);
  else
    close(*lane.lease);
}

void Subscriptions::lost(const Lane& lane) {
  // Without subscriptions there is a command under way, which will be answered with an error.
  if (lane.lease->subscribed.any()) disconnect(*lane.lease->caller, lane);
}

void Subscriptions::disconnect(Caller& client, const Lane& lane) {
  ++disconnected_;
  why_disconnected_ = fmt::format("Redis at {}: {}", lane.label(), lane.problem());
  client.holds = {};
  lanes_.abandon(client);
  client.hang_up();
}

void Subscriptions::tick(std::int64_t now_us) {
  while (!turned_away_.empty() && turned_away_.front().end_us <= now_us) {
    const TurnedAway one = turned_away_.front();
    turned_away_.pop_front();
    one.client->hang_up();
    one.client->finish(one.ticket);
  }
  if (disconnected_ == 0) return;
  log::warning("redis: {} subscribers were disconnected, as messages to them may have been lost: {}",
               std::exchange(disconnected_, 0), why_disconnected_);
}

}  // namespace larder::redis
