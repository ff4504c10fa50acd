#include "backend/redis/topology.h"

#include <algorithm>

namespace larder::redis {
namespace {

/// A Unix socket is one server's; whether TCP leads to a cluster, the first node says.
Deployment first_guess(const Options& options) noexcept {
  if (!options.sentinels.nodes.empty()) return Deployment::sentinel;
  return options.address.path.empty() ? Deployment::unknown : Deployment::single;
}

}  // namespace

Topology::Topology(const NodeContext& context, Health& health, ClusterView& view, Broadcasts& broadcasts)
    : context_(context),
      health_(health),
      view_(view),
      broadcasts_(broadcasts),
      deployment_(first_guess(context.options)) {
  const Options& options = context.options;
  if (deployment_ == Deployment::sentinel) return;  // no node is known yet
  static_cast<void>(index_at({options.address.host, options.address.port}));
  for (const auto& [host, port] : options.more_seeds) static_cast<void>(index_at({host, port}));
  if (is_single()) set_single();
}

std::uint16_t Topology::index_at(const Endpoint& endpoint) {
  const auto found = std::ranges::find_if(nodes_, [&](const auto& node) {
    return node->address().host == endpoint.host && node->address().port == endpoint.port;
  });
  const auto index = static_cast<std::uint16_t>(found - nodes_.begin());
  if (found != nodes_.end()) return index;
  // The login is the same everywhere.
  config::RedisAddress address = context_.options.address;
  address.host = endpoint.host;
  address.port = endpoint.port;
  nodes_.push_back(std::make_unique<Node>(context_, std::move(address), health_, orders_));
  return index;
}

void Topology::tick(std::int64_t now_us) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (has_master() && std::ranges::count(masters_, i) == 0)
      nodes_[i]->rest(now_us);
    else
      nodes_[i]->tick(now_us);
    nodes_[i]->tick_reads(now_us);
  }
}

Node* Topology::node_of_first_key(const Request& request, const Route& route) {
  if (route.key_rule == KeyRule::block) return route.first_key ? &node_of(*route.first_key) : nullptr;
  positions_.clear();
  append_key_positions(route.key_rule, route.keys, request.argv, positions_);
  return positions_.empty() ? nullptr : &node_of(request.argv[positions_.front()]);
}

bool Topology::serves(const Node& node) const noexcept {
  return !has_master() ||
         std::ranges::any_of(masters_, [&](std::uint16_t i) { return nodes_[i].get() == &node; });
}

Node& Topology::node_at(const Endpoint& endpoint) {
  return *nodes_[index_at(endpoint)];
}

std::optional<std::uint16_t> Topology::next_master(std::uint32_t from) const noexcept {
  std::vector<bool> seen(nodes_.size());
  for (std::uint32_t slot = 0; slot < kHashSlots; ++slot) {
    const std::uint16_t owner = slots_[slot];
    if (owner == SlotMap::kNobody || seen[owner]) continue;
    seen[owner] = true;
    if (slot >= from) return static_cast<std::uint16_t>(slot);
  }
  return std::nullopt;
}

void Topology::avoid_lost_node() {
  if (any_node().is_connected()) return;
  const auto better = std::ranges::find_if(masters_, [this](auto i) { return nodes_[i]->is_connected(); });
  if (better == masters_.end()) return;
  any_ = *better;
  change_order();
}

void Topology::set_single() {
  deployment_ = Deployment::single;
  nodes_.front()->set_role(Role::master, 0);
  broadcasts_.set_masters(context_.worker, {nodes_.front()->address()});
}

bool Topology::apply(const SlotMap& map) {
  if (map.masters.empty()) return false;
  const bool is_first = slots_.empty();
  deployment_ = Deployment::cluster;
  slots_.resize(kHashSlots, SlotMap::kNobody);
  std::vector<std::uint16_t> indexes;
  for (const Endpoint& master : map.masters) indexes.push_back(index_at(master));
  std::vector<bool> losers(nodes_.size());
  bool changed = is_first;
  for (std::uint16_t slot = 0; slot < kHashSlots; ++slot) {
    const std::uint16_t owner =
        map.owner[slot] == SlotMap::kNobody ? SlotMap::kNobody : indexes[map.owner[slot]];
    if (owner == slots_[slot]) continue;
    if (slots_[slot] != SlotMap::kNobody) losers[slots_[slot]] = true;
    slots_[slot] = owner;
    changed = true;
  }
  const auto was_master = [this](std::uint16_t index) { return std::ranges::count(masters_, index) > 0; };
  // The first map of a worker promotes nobody.
  if (!masters_.empty() && !std::ranges::all_of(indexes, was_master)) ++promotions_;
  masters_ = std::move(indexes);
  settle_roles(map);
  tell_roles();
  if (changed) change_order();
  distrust(losers);
  return changed;
}

void Topology::settle_roles(const SlotMap& map) {
  members_ = masters_;
  for (const Endpoint& replica : map.replicas) members_.push_back(index_at(replica));
  share_reads(map.replicas, map.replicated);
  const bool any_is_master = std::ranges::count(masters_, any_) > 0;
  // Workers start at different masters, so that what names no key is spread.
  if (!any_is_master) any_ = masters_[context_.worker % masters_.size()];
  for_each_master([this](Node& node) { node.usual_lane(); });
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (std::ranges::count(masters_, i) == 0) health_.forget(nodes_[i]->label());
  view_.is_cluster = true;
  view_.masters = static_cast<int>(masters_.size());
  view_.replicas = static_cast<int>(map.replicas.size());
  view_.slots_covered = static_cast<int>(kHashSlots - std::ranges::count(slots_, SlotMap::kNobody));
}

bool Topology::set_master(const Endpoint& master) {
  const std::uint16_t index = index_at(master);
  if (masters_ == std::vector{index}) return false;
  const std::vector<std::uint16_t> left = std::exchange(masters_, {index});
  members_ = masters_;
  tell_roles();
  any_ = index;
  any_node().usual_lane();
  change_order();
  for (const std::uint16_t old : left) {
    nodes_[old]->leave("it is not the master any more");
    health_.forget(nodes_[old]->label());
  }
  return true;
}

void Topology::set_replicas(const std::vector<Endpoint>& replicas) {
  members_ = masters_;
  for (const Endpoint& replica : replicas) members_.push_back(index_at(replica));
  share_reads(replicas, std::vector<std::uint16_t>(replicas.size(), 0));
  tell_roles();
}

/// `replicated` are places in masters_.
void Topology::share_reads(const std::vector<Endpoint>& replicas, std::span<const std::uint16_t> replicated) {
  if (!context_.options.reads_from_replicas) return;
  std::vector<std::vector<Node*>> readers(nodes_.size());
  for (std::size_t i = 0; i < replicas.size(); ++i)
    readers[masters_[replicated[i]]].push_back(&node_at(replicas[i]));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i]->set_reads(std::ranges::find(replicas, Endpoint{nodes_[i]->address().host,
                                                              nodes_[i]->address().port}) != replicas.end());
    nodes_[i]->set_readers(std::move(readers[i]));
  }
}

bool Topology::move_slot(std::uint16_t slot, const Endpoint& owner) {
  const std::uint16_t index = index_at(owner);
  if (slots_[slot] == index) return false;
  std::vector<bool> losers(nodes_.size());
  if (slots_[slot] != SlotMap::kNobody) losers[slots_[slot]] = true;
  slots_[slot] = index;
  if (std::ranges::count(masters_, index) == 0) {
    masters_.push_back(index);
    ++promotions_;
  }
  tell_roles();
  change_order();
  distrust(losers);
  return true;
}

/// Entries of a slot that moved away are no longer invalidated; which ones they are is not worth finding out.
void Topology::distrust(const std::vector<bool>& losers) {
  for (std::size_t i = 0; i < losers.size(); ++i)
    if (losers[i]) nodes_[i]->distrust();
}

/// Before anything is read from them.
void Topology::tell_masters() {
  Broadcasts::Masters masters;
  for_each_master([&masters](const Node& node) { masters.push_back(node.address()); });
  broadcasts_.set_masters(context_.worker, std::move(masters));
}

void Topology::tell_roles() {
  tell_masters();
  std::vector<int> slots(nodes_.size());
  for (const std::uint16_t owner : slots_)
    if (owner != SlotMap::kNobody) ++slots[owner];
  const auto is_in = [](const std::vector<std::uint16_t>& some, std::size_t i) {
    return std::ranges::count(some, i) > 0;
  };
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    nodes_[i]->set_role(is_in(masters_, i)   ? Role::master
                        : is_in(members_, i) ? Role::replica
                                             : Role::other,
                        slots[i]);
}

void Topology::change_order() noexcept {
  orders_.change();
}

Node& Topology::next_to_ask() {
  const auto rotate = [this](std::size_t count) { return asked_ = (asked_ + 1) % count; };
  if (members_.empty()) return *nodes_[rotate(nodes_.size())];
  for (std::size_t tries = members_.size(); tries > 0; --tries)
    if (Node& node = *nodes_[members_[rotate(members_.size())]]; node.is_connected()) return node;
  // Nobody we know of last answers: the seeds and all others may.
  return *nodes_[rotate(nodes_.size())];
}

bool Topology::lacks_master() const noexcept {
  return std::ranges::any_of(masters_,
                             [this](std::uint16_t index) { return !nodes_[index]->is_connected(); });
}

}  // namespace larder::redis
