#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/redis/broadcasts.h"
#include "backend/redis/lone_lane.h"

namespace larder::redis {

/// Hears of every change of every key while there are clients that want to (CLIENT TRACKING BCAST): a
/// connection to each master, to which Redis tells the names of all keys that change.
///
/// Whoever tracks by BCAST may keep what it reads only while all of them are heard. When one is not heard any
/// more, and when all are heard again, everybody is told to forget everything.
///
/// Thread: one worker, on behalf of all; `broadcasts` is shared with the others.
class BroadcastWatch final : private LaneOwner {
 public:
  /// Of names that begin with `hidden` nobody is told.
  BroadcastWatch(const NodeContext& worker, Broadcasts& broadcasts, const std::string& hidden);
  ~BroadcastWatch();

  void tick(std::int64_t now_us);
  void close();

 private:
  void follow_masters();
  void drop_links(const Broadcasts::Masters& but);
  void rest();
  void look();
  void explain();

  // --- LaneOwner ---
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply) override;
  void on_push(Lane& lane, ByteView push) override;
  void on_timeout(Lane&, const InFlight&) override {}
  void on_losing(const InFlight&) override {}
  void on_lost(Lane&, const InFlight&, Fate) override {}
  void on_doubt(Lane&) override { look(); }
  void on_trust(Lane&) override {}
  void on_ready(Lane& lane, const Handshake& handshake) override;
  [[nodiscard]] Step refuse(const Lane&, const Request&, ByteView) override { return Step::done; }
  [[nodiscard]] bool wants_commands() const override { return false; }

  Keyspace& keyspace_;
  Broadcasts& broadcasts_;
  const std::string& hidden_;
  Statistics statistics_;  ///< nobody's: those of a worker are about what clients ask for
  Health health_;
  const NodeContext context_;
  const Orders orders_;
  std::vector<std::unique_ptr<LoneLane>> links_;                     ///< to the masters of version `seen_`
  std::vector<std::unique_ptr<LoneLane>> dropped_, dropped_before_;  ///< what they have begun may still end
  std::uint32_t seen_ = 0;
  bool flows_ = false;
  bool missed_ = false;  ///< clients that have been told that they are heard for may have missed something
};

}  // namespace larder::redis
