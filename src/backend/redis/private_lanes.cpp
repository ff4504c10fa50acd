#include "backend/redis/private_lanes.h"

#include <fmt/format.h>

#include "backend/redis/handshake.h"
#include "base/clock.h"

namespace larder::redis {
namespace {

constexpr std::size_t kMostIdle = 64;  // a worker
constexpr std::int64_t kIdleUs = 60'000'000;

}  // namespace

PrivateLanes::~PrivateLanes() {
  close_idle();
}

Lease* PrivateLanes::take(Node& node, Caller& caller, Protocol protocol, Lease::Use use) {
  const bool kills = use == Lease::Use::killing;
  const int in_use = counts_.in_use.fetch_add(1, std::memory_order_relaxed);
  if (in_use >= context_.options.private_connections && !kills) {
    counts_.in_use.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
  }
  const std::shared_ptr<const UpstreamUser>& user = caller.acts_as;
  std::unique_ptr<Lane> lane = kills ? node.make_killing_lane(user.get()) : nullptr;
  if (lane == nullptr && user == nullptr) lane = take_idle(node, protocol, caller.db());
  if (lane == nullptr) lane = node.make_private_lane(protocol, caller.db(), user.get());
  Lease& lease = *leases_.emplace_back(
      std::make_unique<Lease>(Lease{std::move(lane), &node, &caller, use, caller.db(), protocol}));
  lease.user = user;
  lease.lane->lease = &lease;
  return &lease;
}

std::unique_ptr<Lane> PrivateLanes::take_idle(const Node& node, Protocol protocol, int db) {
  const auto found = std::ranges::find_if(idle_, [&](const Idle& idle) {
    const Lane::Purpose& purpose = idle.lane->purpose();
    return idle.node == &node && purpose.protocol == protocol && purpose.db == db && idle.lane->is_ready();
  });
  if (found == idle_.end()) return nullptr;
  std::unique_ptr<Lane> lane = std::move(found->lane);
  idle_.erase(found);
  counts_.idle.fetch_sub(1, std::memory_order_relaxed);
  return lane;
}

void PrivateLanes::refuse(const Request& request) const {
  request.reply.error(fmt::format(
      "ERR no upstream connection is left for '{}': all {} of redis.private_connections are in use",
      request.argv[0].substr(0, 128), context_.options.private_connections));
}

Lease* PrivateLanes::lend(const Request& request, Node& node, Protocol protocol, Lease::Use use) {
  Lease* const lease = take(node, *request.caller.principal, protocol, use);
  if (lease == nullptr) {
    refuse(request);
    return nullptr;
  }
  if (const ByteView refusal = lease->lane->refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    close(*lease);
    return nullptr;
  }
  return lease;
}

std::vector<Lease*> PrivateLanes::find_all(const Caller& caller, Lease::Use use) {
  std::vector<Lease*> all;
  for (const auto& lease : leases_)
    if (lease->caller == &caller && lease->use == use) all.push_back(lease.get());
  return all;
}

void PrivateLanes::align(Lease& lease, int db, Protocol protocol) {
  InFlight upkeep;
  upkeep.kind = InFlight::Kind::upkeep;
  if (lease.db != db) {
    append_request(lease.lane->output(), {"SELECT", std::to_string(db)});
    lease.lane->expect(upkeep);
  }
  if (lease.protocol != protocol) {
    append_request(lease.lane->output(), {"HELLO", protocol == Protocol::resp3 ? "3" : "2"});
    lease.lane->expect(upkeep);
  }
  lease.db = db;
  lease.protocol = protocol;
}

void PrivateLanes::give_back(Lease& lease) {
  // Another user's is not kept: that one's rights may change, and nobody would notice.
  if (!lease.lane->is_ready() || lease.user != nullptr || lease.use == Lease::Use::killing ||
      idle_.size() == kMostIdle)
    return close(lease);
  align(lease, lease.lane->purpose().db, lease.lane->purpose().protocol);
  Node* const node = lease.node;
  idle_.push_back({end(lease), node, steady_now_us()});
  counts_.idle.fetch_add(1, std::memory_order_relaxed);
}

void PrivateLanes::close(Lease& lease) {
  const auto user = lease.user;  // the lane refers to it until it is cut
  Lane& lane = *closed_.emplace_back(end(lease));
  lane.cut("its client is gone");
}

/// The loan is over; the lane remains.
std::unique_ptr<Lane> PrivateLanes::end(Lease& lease) {
  const auto found = std::ranges::find(leases_, &lease, &std::unique_ptr<Lease>::get);
  std::unique_ptr<Lane> lane = std::move(lease.lane);
  lane->lease = nullptr;
  std::swap(*found, leases_.back());
  leases_.pop_back();
  counts_.in_use.fetch_sub(1, std::memory_order_relaxed);
  return lane;
}

void PrivateLanes::abandon(const Caller& caller) {
  for (const Lease::Use use :
       {Lease::Use::blocking, Lease::Use::watching, Lease::Use::subscribing, Lease::Use::killing})
    while (Lease* lease = find(caller, use)) close(*lease);
}

void PrivateLanes::tick(std::int64_t now_us) {
  closed_before_ = std::exchange(closed_, {});
  const auto removed = std::erase_if(
      idle_, [now_us](const Idle& idle) { return idle.lane->is_down() || now_us - idle.since_us > kIdleUs; });
  counts_.idle.fetch_sub(static_cast<int>(removed), std::memory_order_relaxed);
  for (const Idle& idle : idle_) idle.lane->tick(now_us);
  std::vector<std::pair<Lane*, Node*>> lent;  // a tick may end some of them
  for (const auto& lease : leases_) lent.emplace_back(lease->lane.get(), lease->node);
  for (const auto& [lane, node] : lent) {
    if (!topology_.serves(*node)) lane->cut("it is no master any more");
    if (!lane->is_down()) lane->tick(now_us);
  }
}

void PrivateLanes::close_idle() {
  counts_.idle.fetch_sub(static_cast<int>(idle_.size()), std::memory_order_relaxed);
  idle_.clear();
}

}  // namespace larder::redis
