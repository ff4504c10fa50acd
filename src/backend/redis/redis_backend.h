#pragma once

#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "backend/backend.h"
#include "backend/redis/blocks.h"
#include "backend/redis/broadcast_waiters.h"
#include "backend/redis/cluster.h"
#include "backend/redis/follower.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/private_requests.h"
#include "backend/redis/reads.h"
#include "backend/redis/retries.h"
#include "backend/redis/scripts.h"
#include "backend/redis/subscriptions.h"
#include "backend/redis/tag_blocks.h"
#include "backend/redis/tag_jobs.h"
#include "backend/redis/tag_registrar.h"
#include "backend/redis/tag_requests.h"
#include "backend/redis/users.h"

namespace larder::redis {

/// A worker's way to Redis: forwards requests over its lanes, answers what L1 has and fills L1 from reads.
///
/// What keeps L1 honest: a key is void from the moment a write to it was parsed, and again when the write is
/// answered (or lost); a fill is stored only if the key's epoch has not moved since its read was sent and its
/// connection still is the one that hears of changes.
///
/// Thread: one worker; the keyspace is shared.
class RedisBackend final : public Backend,
                           private LaneOwner,
                           private ClusterHost,
                           private Sender,
                           private TagHost {
 public:
  /// What all workers share, and which of them this is.
  struct Shared {
    const Options& options;
    Keyspace& keyspace;
    Health& health;
    ClusterView& view;
    MasterView& master;
    Scripts& scripts;
    TagState& tags;
    PrivateCounts& private_counts;
    Broadcasts& broadcasts;
    std::size_t worker;
  };

  RedisBackend(boost::asio::io_context& io, Poller& poller, const Shared& shared, Statistics& statistics);
  ~RedisBackend() override;

  [[nodiscard]] Step execute(const Request& request) override;
  [[nodiscard]] bool forwards_unknown() const noexcept override { return true; }
  [[nodiscard]] bool has_transactions() const noexcept override { return true; }
  [[nodiscard]] bool may_queue(const Request& request) override;
  [[nodiscard]] bool may_abort(const Request& exec) override {
    return cluster_.may_queue(exec, commands_.route(exec));
  }
  [[nodiscard]] bool has_subscriptions() const noexcept override { return true; }
  [[nodiscard]] int first_key_position(const Request& request) const override {
    return commands_.route(request).keys.first;
  }
  void append_read_keys(const Request& request, std::vector<KeyRef>& keys) override;
  [[nodiscard]] bool hears_everything() const noexcept override { return broadcasts_.flow(); }
  void hear_everything(HearsDone done) override { broadcast_waiters_.add(std::move(done)); }
  void log_in(ByteView user, ByteView password, LoginDone done) override {
    users_.log_in(user, password, std::move(done));
  }
  void adopt(const config::Settings& settings) override { redis::adopt(options_, settings); }
  void unwatch(Caller& caller) override { private_.unwatch(caller); }
  void abandon(Caller& caller) override { private_.abandon(caller); }
  void unblock(Caller& caller, Unblock how, std::function<void(bool)> done) override {
    private_.unblock(caller, how, std::move(done));
  }
  void drain(std::function<void()> done) override;

 private:
  [[nodiscard]] std::optional<Step> look_first(const Request& request, const Route& route);
  [[nodiscard]] bool is_away() const noexcept;
  [[nodiscard]] bool may_tag(const Request& request, const Route& route);
  void heed_script(const Request& request);
  [[nodiscard]] std::optional<Step> read_from_replica(const Request& request, const Route& route,
                                                      bool may_use_l1);
  [[nodiscard]] Step run(const Request& request, const Route& route);
  [[nodiscard]] Step forward(const Request& request, const Route& route);
  [[nodiscard]] Lane& lane_for(const Request& request, const Route& route);
  [[nodiscard]] bool calls_known_script(const Request& request);
  void void_written(Lane& lane, const Request& request, const Route& route, InFlight& entry);
  void append_key_refs(const Request& request, const Route& route, std::vector<KeyRef>& keys);
  void void_again(Lane& lane, const InFlight& entry, ReaderId author = 0);
  void send(const Request& request, const Route& route, Lane& lane, InFlight entry);

  [[nodiscard]] bool joins_batch(const Request& request, const Route& route, Lane& lane);
  void send_one(const Request& request, const Route& route, Lane& lane, const InFlight& entry);
  void teach_tag_scripts(Lane& lane);
  void tidy(const Request& request, const Route& route, Lane& lane);
  [[nodiscard]] bool goes_again(Lane& lane, const InFlight& entry, const Reply& reply);
  void ask_about_tags(std::int64_t now_us);
  void ask_about_rights(std::int64_t now_us);
  [[nodiscard]] bool is_swept(const Route& route) const noexcept;
  void heed_promotions();
  void heed_directory(const InFlight& entry);

  // --- TagHost ---
  [[nodiscard]] Step send_own(const Request& request, const Route& route) override {
    return forward(request, route);
  }

  // --- ClusterHost ---
  [[nodiscard]] Step execute_at(const Request& request, const Route& route, Node& node) override;

  // --- Sender ---
  void send_kept(const Request& request, const Route& route, Lane& lane, std::uint32_t errand,
                 std::uint32_t replies) override;
  void send_on(const Request& request, const Route& route, Lane& lane, const InFlight& entry) override {
    send(request, route, lane, entry);
  }

  // --- LaneOwner ---
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply) override;
  void on_push(Lane& lane, ByteView push) override;
  void on_timeout(Lane& lane, const InFlight& entry) override;
  void on_losing(const InFlight& write) override;
  void on_lost(Lane& lane, const InFlight& entry, Fate fate) override;
  void on_doubt(Lane& lane) override;
  void on_trust(Lane& lane) override;
  void on_ready(Lane& lane, const Handshake& handshake) override;
  [[nodiscard]] Step refuse(const Lane& lane, const Request& request, ByteView refusal) override;
  void finish_forward(Lane& lane, const InFlight& entry, const Reply& reply);
  void fail(const Lane& lane, const InFlight& entry, ByteView error);
  [[nodiscard]] bool wants_commands() const override { return !commands_known_; }

  void arm_tick(std::chrono::milliseconds delay);
  void tick();
  void finish_drain();

  Options options_;  ///< may change, but for the addresses
  NodeContext context_;
  Health& health_;
  Scripts& scripts_;
  TagState& tag_state_;
  Topology topology_;
  KnownCommands commands_;
  bool commands_known_ = false;
  OpenWrites open_writes_;
  Errands errands_;
  Reads reads_;
  Refresher refresher_;
  Retries retries_;
  Cluster cluster_;
  std::unique_ptr<Follower> follower_;  ///< behind Sentinels
  Users users_;
  PrivateLanes private_lanes_;
  PrivateRequests private_;
  Subscriptions subscriptions_;
  TagRequests tag_requests_;
  TagRegistrar tag_registrar_;
  TagJobs tag_jobs_;
  TagBlocks tag_blocks_;
  Blocks blocks_;
  const Broadcasts& broadcasts_;
  BroadcastWaiters broadcast_waiters_;
  std::uint32_t promotions_ = 0;  ///< of masters, that were heeded
  std::int64_t asked_about_tags_us_ = 0, asked_about_rights_us_ = 0;
  std::vector<KeyRef> keys_;  ///< room for one request's keys
  boost::asio::steady_timer timer_;
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace larder::redis
