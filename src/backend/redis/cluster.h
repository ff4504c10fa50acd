#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backend/redis/gather.h"
#include "backend/redis/refresher.h"
#include "backend/redis/retries.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// What the owner of a Cluster does for it.
class ClusterHost {
 public:
  /// As Backend::execute.
  [[nodiscard]] virtual Step execute(const Request& request) = 0;

  /// Sends a request to that node and no other, whatever its answer is.
  [[nodiscard]] virtual Step execute_at(const Request& request, const Route& route, Node& node) = 0;

  /// Appends a request, whose ticket is taken, to a lane that takes requests.
  virtual void send_on(const Request& request, const Route& route, Lane& lane, const InFlight& entry) = 0;

 protected:
  ~ClusterHost() = default;
};

/// What a worker does because there may be more than one Redis server: it learns the topology and keeps it
/// fresh, and hands requests for several nodes to each of them.
///
/// Thread: one worker.
class Cluster {
 public:
  Cluster(const NodeContext& context, Topology& topology, Refresher& refresher, Retries& retries,
          ClusterHost& host);

  /// Looks at a request before anything else is done with it. Nothing: it is for one node, go on.
  [[nodiscard]] std::optional<Step> take(const Request& request, const Route& route) {
    return topology_.is_single() ? std::nullopt : take_unless_single(request, route);
  }

  /// False: a transaction, which is for one node, cannot have it, and the reason was appended.
  [[nodiscard]] bool may_queue(const Request& request, const Route& route);

  /// While the topology is not known: why nobody says it; empty: it is being found out.
  [[nodiscard]] ByteView problem() const noexcept { return unreachable_; }

  void on_topology(const Lane& lane, const Reply& reply);
  void on_topology_lost(const Lane& lane, const InFlight& entry);

  void tick(std::int64_t now_us);

 private:
  // --- requests ---
  [[nodiscard]] std::optional<Step> take_unless_single(const Request& request, const Route& route);
  [[nodiscard]] Step await_topology(const Request& request);
  [[nodiscard]] std::optional<Step> check_slots(const Request& request, const Route& route);
  [[nodiscard]] bool spans_slots(const Request& request, const Route& route);
  [[nodiscard]] std::optional<Step> split(const Request& request, const Route& route);
  [[nodiscard]] Step fan_out(const Request& request, const Route& route);
  [[nodiscard]] std::optional<Step> scan(const Request& request, const Route& route);
  [[nodiscard]] std::optional<Step> ask_slot(const Request& request, const Route& route);
  void run_part(Gather& gather, std::size_t part, const Request& request, const Route& route, Node* node);
  [[nodiscard]] Gather& free_gather();

  // --- topology ---
  void ask_topology(std::int64_t now_us);
  void learn(const SlotMap& map);

  const NodeContext& context_;
  Topology& topology_;
  Refresher& refresher_;
  Retries& retries_;
  ClusterHost& host_;
  std::string unreachable_;               ///< see problem()
  std::size_t failed_nodes_ = 0;          ///< in a row, that were asked about the topology
  std::vector<std::uint32_t> positions_;  ///< room for one request's keys
  std::vector<std::unique_ptr<Gather>> gathers_;
};

}  // namespace larder::redis
