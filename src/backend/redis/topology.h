#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/redis/broadcasts.h"
#include "backend/redis/node.h"
#include "backend/redis/slot_map.h"

namespace larder::redis {

/// The servers of the deployment, and which of them serves a key.
///
/// A node once known stays for good: an L1 entry may rest on its word. What no longer is its own is void at
/// once.
///
/// Thread: one worker; `view` and `broadcasts` are shared with the others.
class Topology {
 public:
  Topology(const NodeContext& context, Health& health, ClusterView& view, Broadcasts& broadcasts);

  /// Whether there is more than one node to choose from; unknown until the first one has said what it is.
  [[nodiscard]] Deployment deployment() const noexcept { return deployment_; }
  [[nodiscard]] bool is_single() const noexcept { return deployment_ == Deployment::single; }
  [[nodiscard]] bool is_cluster() const noexcept { return deployment_ == Deployment::cluster; }
  [[nodiscard]] bool has_master() const noexcept { return !masters_.empty(); }
  [[nodiscard]] bool is_known() const noexcept { return is_single() || has_master(); }

  [[nodiscard]] Node& node_of(ByteView key) noexcept {
    return is_cluster() ? node_of_slot(hash_slot(key)) : any_node();
  }

  /// In a cluster; a slot that nobody serves is any node's, which knows what to say.
  [[nodiscard]] Node& node_of_slot(std::uint16_t slot) noexcept {
    const std::uint16_t owner = slots_[slot];
    return owner == SlotMap::kNobody ? any_node() : *nodes_[owner];
  }

  /// The node of a request that is for one.
  [[nodiscard]] Node& node_for(const Request& request, const Route& route) {
    if (is_single()) return any_node();
    Node* const node = node_of_first_key(request, route);
    return node != nullptr ? *node : any_node();
  }

  /// The same; null when the request names no key.
  [[nodiscard]] Node* node_of_first_key(const Request& request, const Route& route);

  /// False: it is no master, as far as is known.
  [[nodiscard]] bool serves(const Node& node) const noexcept;

  /// For requests that name no key. The same one until the topology changes: they have an order too.
  [[nodiscard]] Node& any_node() noexcept { return *nodes_[any_]; }

  /// What names no key goes to a master with a working connection, if there is one.
  void avoid_lost_node();

  /// Deadlines of the connections; those that are no longer needed are closed.
  void tick(std::int64_t now_us);

  /// The node that listens there; made if it is new.
  [[nodiscard]] Node& node_at(const Endpoint& endpoint);

  template <class Visit>
  void for_each_node(Visit visit) {
    for (const auto& node : nodes_) visit(*node);
  }

  /// The masters, in the order of their first slots.
  template <class Visit>
  void for_each_master(Visit visit) {
    for (const std::uint16_t master : masters_) visit(*nodes_[master]);
  }
  [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size(); }

  /// The first slot of the first master whose first slot is `from` or later.
  [[nodiscard]] std::optional<std::uint16_t> next_master(std::uint32_t from) const noexcept;

  /// There is one server only, the first seed.
  void set_single();

  /// Takes over what the cluster says of itself; true when that is news.
  bool apply(const SlotMap& map);

  /// The one master is there; true when that is news. All others are left at once, whatever waits for them.
  bool set_master(const Endpoint& master);

  /// Its replicas, which may answer reads.
  void set_replicas(const std::vector<Endpoint>& replicas);

  /// A node said who serves a slot now; true when that is news.
  bool move_slot(std::uint16_t slot, const Endpoint& owner);

  /// Moves when a node becomes a master that was none.
  [[nodiscard]] std::uint32_t promotions() const noexcept { return promotions_; }

  /// From now on no caller's next request may overtake its open ones: some of them go another way than they
  /// would have gone.
  void change_order() noexcept;

  /// A node to ask about the topology, another one each time: one with a working connection if there is one.
  [[nodiscard]] Node& next_to_ask();

  /// A master has no working connection.
  [[nodiscard]] bool lacks_master() const noexcept;

 private:
  [[nodiscard]] std::uint16_t index_at(const Endpoint& endpoint);
  void distrust(const std::vector<bool>& losers);
  void tell_roles();
  void tell_masters();
  void settle_roles(const SlotMap& map);
  void share_reads(const std::vector<Endpoint>& replicas, std::span<const std::uint16_t> replicated);

  const NodeContext& context_;
  Health& health_;
  ClusterView& view_;
  Broadcasts& broadcasts_;
  Deployment deployment_;
  std::vector<std::unique_ptr<Node>> nodes_;      ///< seeds first; an index is for good
  std::vector<std::uint16_t> slots_;              ///< index into nodes_, or kNobody; empty without a cluster
  std::vector<std::uint16_t> masters_, members_;  ///< of the last map; members are replicas too
  std::size_t any_ = 0;
  std::size_t asked_ = SIZE_MAX;
  std::uint32_t promotions_ = 0;
  Orders orders_;
  std::vector<std::uint32_t> positions_;  ///< room for one request's keys
};

}  // namespace larder::redis
