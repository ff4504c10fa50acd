#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/redis/lone_lane.h"
#include "backend/redis/master_view.h"
#include "backend/redis/refresher.h"
#include "backend/redis/sentinel_replies.h"

namespace larder::redis {

/// Asks the Sentinels where the master is, and listens to what they say by themselves.
///
/// There is a connection to each of them. They are asked in turn once a second, often while somebody cannot
/// be served, and whoever sends a message about a failover is asked at once. An answer that is older than
/// what another one has said is not believed.
///
/// Thread: one worker, on behalf of all; `view` is shared with the others.
class SentinelWatch final : private LaneOwner {
 public:
  /// `on_news` is called when the view has changed, from inside a lane's callback.
  SentinelWatch(const NodeContext& worker, MasterView& view, std::function<void()> on_news);
  ~SentinelWatch();

  void tick(std::int64_t now_us);
  void close();

 private:
  /// One Sentinel.
  struct Link : LoneLane {
    using LoneLane::LoneLane;

    std::optional<Endpoint> word;  ///< the first part of the answer that is being received
    std::vector<Endpoint> replicas;
    bool knows_no_master = false;
  };

  void add(const config::RedisAddress& sentinel);
  void ask_next(std::int64_t now_us);
  void ask(Link& link);
  void believe(Link& link, const MasterWord& word);
  void explain();
  [[nodiscard]] Link& link_of(const Lane& lane);

  // --- LaneOwner ---
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply) override;
  void on_push(Lane& lane, ByteView push) override;
  void on_timeout(Lane& lane, const InFlight& entry) override;
  void on_losing(const InFlight&) override {}
  void on_lost(Lane& lane, const InFlight& entry, Fate fate) override;
  void on_doubt(Lane&) override {}
  void on_trust(Lane&) override {}
  void on_ready(Lane& lane, const Handshake& handshake) override;
  [[nodiscard]] Step refuse(const Lane&, const Request&, ByteView) override { return Step::done; }
  [[nodiscard]] bool wants_commands() const override { return false; }

  MasterView& view_;
  const std::function<void()> on_news_;
  Statistics statistics_;  ///< nobody's: those of a worker are about the master
  Health health_;
  const NodeContext context_;
  const Orders orders_;
  std::vector<std::unique_ptr<Link>> links_;
  std::size_t asked_ = 0;
  Refresher refresher_;
  const Link* author_ = nullptr;  ///< of the word that is believed
  std::uint64_t epoch_ = 0;
};

}  // namespace larder::redis
