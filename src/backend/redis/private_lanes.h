#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "backend/redis/topology.h"

namespace larder::redis {

/// A connection on loan to one client.
struct Lease {
  /// What the client has it for.
  enum class Use : std::uint8_t {
    blocking,     ///< one command that waits
    watching,     ///< from WATCH to EXEC
    subscribing,  ///< from the first subscription to the end of the last one
    killing,      ///< SCRIPT KILL
  };

  std::unique_ptr<Lane> lane;
  Node* node;
  Caller* caller;
  Use use;
  int db;                             ///< that the next request on it runs in
  Protocol protocol;                  ///< that the next request on it is answered in
  Bytes raw = {};                     ///< the request under way, in case it must go elsewhere
  const CommandSpec* spec = nullptr;  ///< its row
  Route route = {};
  std::shared_ptr<const UpstreamUser> user = nullptr;  ///< of whom the connection is; null: Larder's own
  int hops = 0;                                        ///< how often it has gone elsewhere
  bool is_settled = false;  ///< it holds what a request has left there: it cannot go elsewhere
  bool lost = false;        ///< what was watched may have changed unseen
  std::vector<std::uint16_t> watched_slots = {};  ///< in a cluster
  Subscribed subscribed = {};
};

/// How many connections clients have of their own; shared by all workers.
struct PrivateCounts {
  std::atomic<int> in_use{0}, idle{0};
};

/// Connections that belong to one client at a time: lent, and kept for the next one once they are as they
/// were.
///
/// Thread: one worker; `counts` is shared with the others.
class PrivateLanes {
 public:
  PrivateLanes(const NodeContext& context, const Topology& topology, PrivateCounts& counts)
      : context_(context), topology_(topology), counts_(counts) {}
  ~PrivateLanes();

  /// Lends a connection in the caller's database; null when all are lent (what kills is not counted).
  [[nodiscard]] Lease* take(Node& node, Caller& caller, Protocol protocol, Lease::Use use);

  /// All are lent.
  void refuse(const Request& request) const;

  /// The same as take() for a request; null when it was answered with the reason.
  [[nodiscard]] Lease* lend(const Request& request, Node& node, Protocol protocol, Lease::Use use);

  /// One that the caller has and that `is` right; null: there is none.
  template <class Is>
  [[nodiscard]] Lease* find(const Caller& caller, Lease::Use use, Is is) {
    const auto found = std::ranges::find_if(leases_, [&](const auto& lease) {
      return lease->caller == &caller && lease->use == use && is(*lease);
    });
    return found == leases_.end() ? nullptr : found->get();
  }
  [[nodiscard]] Lease* find(const Caller& caller, Lease::Use use) {
    return find(caller, use, [](const Lease&) { return true; });
  }

  /// All of them: what waits at several nodes has one for each.
  [[nodiscard]] std::vector<Lease*> find_all(const Caller& caller, Lease::Use use);

  /// Prepares it for a request in that database and protocol.
  static void align(Lease& lease, int db, Protocol protocol);

  /// Nothing of the client's is left on it, once what was sent is answered.
  void give_back(Lease& lease);

  /// Closes it: what is under way is lost.
  void close(Lease& lease);

  /// The same with all that the caller has.
  void abandon(const Caller& caller);

  void tick(std::int64_t now_us);
  void close_idle();

 private:
  struct Idle {
    std::unique_ptr<Lane> lane;
    const Node* node;
    std::int64_t since_us;
  };

  [[nodiscard]] std::unique_ptr<Lane> take_idle(const Node& node, Protocol protocol, int db);
  [[nodiscard]] std::unique_ptr<Lane> end(Lease& lease);

  const NodeContext& context_;
  const Topology& topology_;
  PrivateCounts& counts_;
  std::vector<std::unique_ptr<Lease>> leases_;
  std::vector<Idle> idle_;
  std::vector<std::unique_ptr<Lane>> closed_, closed_before_;  ///< destroyed when nothing calls them any more
};

}  // namespace larder::redis
