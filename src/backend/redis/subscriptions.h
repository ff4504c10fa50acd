#pragma once

#include <deque>
#include <string>

#include "backend/redis/private_lanes.h"
#include "backend/redis/subscription.h"

namespace larder::redis {

/// What clients are subscribed to.
///
/// A subscriber has a connection of its own, which speaks RESP3 so that messages are told from replies; they
/// are handed on in the client's protocol. In a cluster there is one for each node that serves slots it
/// subscribes to; its other channels and patterns are on any one of the nodes. When one of them is lost, so
/// is the client's: messages may have been missed, and this is how a client of Redis hears of it.
///
/// A command that subscribes starts when all before it are answered, and what follows waits for it: what the
/// client may do next depends on the answer.
///
/// Thread: one worker.
class Subscriptions {
 public:
  Subscriptions(const NodeContext& context, Topology& topology, PrivateLanes& lanes)
      : topology_(topology), lanes_(lanes), next_node_(context.worker) {}

  [[nodiscard]] Step take(const Request& request, const Route& route);

  /// PING of a subscriber: its answer comes behind all messages that were published before.
  [[nodiscard]] Step ping(const Request& request);

  /// The client's own connection for what it publishes: messages to itself come before the reply, as in
  /// Redis. Null: it is for the usual ones.
  [[nodiscard]] Lane* lane_for(const Request& request, const Route& route);

  /// A confirmation, or the error that is there instead of all of them.
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply);
  static void on_pong(const InFlight& entry, const Reply& reply);
  void on_push(Lane& lane, ByteView push);

  /// Redis is away, and the client is told as Redis would tell it: its connection ends, as do those of the
  /// subscribers there were. Libraries connect and subscribe again then; an error some take for the answer.
  void turn_away(Caller& client, Ticket ticket);
  [[nodiscard]] Step turn_away(const Request& request);

  /// No answer will come to a command that subscribes, or none came in time; the client was told.
  void failed(Lane& lane);

  /// The connection is gone.
  void lost(const Lane& lane);

  /// Tells those who run Larder what happened since.
  void tick(std::int64_t now_us);

 private:
  /// A client whose connection ends at that time; it waits for an answer until then.
  struct TurnedAway {
    Caller* client;
    Ticket ticket;
    std::int64_t end_us;
  };

  [[nodiscard]] Lease* find(const Request& request, const Route& route, Subscription command);
  [[nodiscard]] Node& pick_node(const Request& request, const Route& route, Subscription command);
  [[nodiscard]] static Step answer_none(const Request& request, Subscription command);
  static void ask(Lease& lease, Bytes request, const InFlight& what);
  [[nodiscard]] bool goes_on(Lease& lease, const InFlight& entry, const Reply& reply);
  [[nodiscard]] bool goes_on_elsewhere(Lease& lease, const InFlight& entry);
  [[nodiscard]] bool redirects(Lease& lease, const InFlight& entry, const Reply& reply);
  void confirm(Lease& lease, const SubscriptionPush& confirmation);
  void let_go_if_unused(Lease& lease);
  void close(Lease& lease);
  void disconnect(Caller& client, const Lane& lane);
  [[nodiscard]] Step refuse(const Request& request, Lease& lease);

  Topology& topology_;
  PrivateLanes& lanes_;
  std::size_t next_node_;  ///< of a cluster, for channels that have no slot
  Bytes push_;             ///< room for one
  std::deque<TurnedAway> turned_away_;
  std::size_t disconnected_ = 0;
  std::string why_disconnected_;
};

}  // namespace larder::redis
