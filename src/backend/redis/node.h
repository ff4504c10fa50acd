#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/redis/known_commands.h"
#include "backend/redis/lane.h"

namespace larder::redis {

/// One Redis server as a worker sees it: its address, its state and the connections to it.
///
/// A connection has one protocol and one database, so there may be one for each pair; all are opened on first
/// use and kept.
///
/// Life:   as long as its worker: an L1 entry may rest on the word of a node that is gone.
/// Thread: one worker; `health` is shared with the others.
class Node final {
 public:
  Node(const NodeContext& context, config::RedisAddress address, Health& health, const Orders& orders);

  /// The shared connection for requests in `protocol` on `db`. With L1 on, the RESP3 one hears of changes.
  /// With a user it is that one's own. `scripts` numbers those that carry scripts only; they do not track.
  Lane& lane(Protocol protocol, int db, const UpstreamUser* user = nullptr, int scripts = 0);

  /// The shared connection for a request of a client that speaks that protocol. Without L1 it speaks the
  /// client's; with L1, commands whose replies convert trivially share the tracked RESP3 lane, so that most
  /// clients never change lanes. Other users than Larder's own have lanes of their own, which L1 knows
  /// nothing of.
  Lane& lane_for(const Route& route, Protocol spoken, int db, const UpstreamUser* user) {
    const bool shares = user == nullptr && context_.worker.caching && route.scalar_reply;
    return lane(shares ? Protocol::resp3 : spoken, db, user);
  }

  /// Scripts have connections of their own, so that one that takes long holds up nothing but scripts, and few
  /// of those. But what they read for clients that track is heard of.
  Lane& lane_for(const Route& route, const Caller& caller) {
    if (route.runs_script && caller.tracks == Caller::Tracks::nothing)
      return lane_for_scripts(caller.protocol(), caller.db(), caller.acts_as.get());
    return lane_for(route, caller.protocol(), caller.db(), caller.acts_as.get());
  }

  /// The connection on which users are judged: closed as soon as nobody waits for it.
  Lane& door();

  /// A new connection for one client at a time.
  [[nodiscard]] std::unique_ptr<Lane> make_private_lane(Protocol protocol, int db,
                                                        const UpstreamUser* user) const;

  /// The same for SCRIPT KILL.
  [[nodiscard]] std::unique_ptr<Lane> make_killing_lane(const UpstreamUser* user) const;

  /// A connection to one of its replicas that works; null: there is none at present. A worker keeps to the
  /// same replica while that works, so that what its clients read does not go back in time.
  [[nodiscard]] Lane* find_reader(Protocol protocol, int db);

  /// Who may answer reads in its place, and whether it does so for another one.
  void set_readers(std::vector<Node*> readers) { readers_ = std::move(readers); }
  void set_reads(bool reads) noexcept { reads_ = reads; }

  /// The one that most requests take.
  Lane& usual_lane();

  [[nodiscard]] const config::RedisAddress& address() const noexcept { return address_; }

  /// The node in words.
  [[nodiscard]] const std::string& label() const noexcept { return context_.label; }

  /// Visits the shared lanes of Larder's own user.
  template <class Visit>
  void for_each_own_lane(Visit visit) const {
    for (const auto& lane : lanes_)
      if (lane != nullptr) visit(*lane);
  }

  void tick(std::int64_t now_us);

  /// The same for the connections of find_reader(), which have a life of their own.
  void tick_reads(std::int64_t now_us);

  /// It is not needed now: connections are closed once they are quiet, and not opened again.
  void rest(std::int64_t now_us);

  /// Something that was its own is another's now: all that L1 has from it is void, and unless it is a master
  /// still, what waits for a connection need not wait.
  void distrust();

  /// What the deployment says of it; for those who ask, but for distrust().
  void set_role(Role role, int slots) noexcept;

  /// Its connections are lost: all that L1 has from it is void, and what waits for its answers need not wait.
  void leave(const std::string& why);

  /// The lanes of other users.
  void forgive(const UpstreamUser& user);
  [[nodiscard]] bool is_quiet_for(const UpstreamUser& user) const noexcept;
  void forget(const UpstreamUser& user) { guests_.erase(&user); }

  [[nodiscard]] bool is_connected() const noexcept;
  [[nodiscard]] bool is_quiet() const noexcept;
  void close();

 private:
  /// By database, protocol and number of those for scripts; null until used.
  using Lanes = std::vector<std::unique_ptr<Lane>>;
  static constexpr int kScriptLanes = 4;

  Lane& lane_for_scripts(Protocol protocol, int db, const UpstreamUser* user);
  Lane& lane_for_reads(Protocol protocol, int db);
  void tell_breaker() noexcept;
  [[nodiscard]] Standing standing() const noexcept;

  template <class Visit>
  void for_each_lane(Visit visit) const;
  void tick_guests(std::int64_t now_us);

  const config::RedisAddress address_;
  Breaker breaker_;
  const LaneContext context_;
  Lanes lanes_;
  std::unordered_map<const UpstreamUser*, Lanes> guests_;
  std::unique_ptr<Lane> door_;
  Lanes reading_;  ///< as a replica
  bool reads_ = false;
  std::vector<Node*> readers_;  ///< its replicas
};

}  // namespace larder::redis
