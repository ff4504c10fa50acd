#pragma once

#include <functional>
#include <optional>

#include "backend/redis/cluster.h"
#include "backend/redis/private_lanes.h"

namespace larder::redis {

/// The requests that cannot share a connection: those that wait, and those from WATCH to EXEC.
///
/// While a client watches, only WATCH itself and the block that EXEC sends take its own connection. What it
/// does in between goes the usual ways, past L1: the usual connections are no older than Redis itself.
///
/// Every such request starts when all before it are answered, and what follows waits for it (Step::blocking),
/// so that the order of the client's requests does not depend on the connection.
///
/// Thread: one worker.
class PrivateRequests {
 public:
  PrivateRequests(Topology& topology, PrivateLanes& lanes, ClusterHost& host)
      : topology_(topology), lanes_(lanes), host_(host) {}

  /// Runs the request if it is one of these.
  [[nodiscard]] std::optional<Step> take(const Request& request, const Route& route);

  /// Runs a request that waits at that node. Before it all of its client's are answered.
  [[nodiscard]] Step block_at(Node& node, const Request& request, const Route& route);

  /// Runs SCRIPT KILL or FUNCTION KILL at that node, past everything that waits for the script.
  [[nodiscard]] Step kill_at(Node& node, const Request& request, const Route& route);

  /// True when the reply sends the request elsewhere, and so is not the client's.
  [[nodiscard]] bool redirects(Lane& lane, const InFlight& entry, const Reply& reply);

  /// The client has its answer: whether it keeps the connection.
  void answered(Lane& lane, const InFlight& entry, char reply_type);

  /// No answer will come, or none came in time; the client was told.
  void failed(Lane& lane);

  /// The connection is gone.
  static void lost(Lane& lane);

  void unwatch(Caller& caller);
  void abandon(Caller& caller);
  void unblock(Caller& caller, Backend::Unblock how, std::function<void(bool)> done);

  /// The reply to what unblock() sent; nothing: none came.
  void unblocked(const InFlight& entry, std::optional<ByteView> reply);

 private:
  [[nodiscard]] Step watch(const Request& request, const Route& route);
  [[nodiscard]] Step forget_watch(const Request& request, const Route& route);
  [[nodiscard]] Step exec_watched(const Request& request, const Route& route, Lease& lease);
  void send(const Request& request, const Route& route, Lease& lease, Ticket ticket);
  void note_slot(Lease& lease, ByteView key) const;
  [[nodiscard]] bool has_moved(const Lease& lease);
  void end_watch(Lease& lease);
  void end_wait(const Lease& lease, Backend::Unblock how, std::function<void(bool)> done);

  Topology& topology_;
  PrivateLanes& lanes_;
  ClusterHost& host_;
  Pool<std::function<void(bool)>> unblocks_;
};

}  // namespace larder::redis
