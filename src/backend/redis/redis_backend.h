#pragma once

#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "backend/backend.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/reads.h"

namespace larder::redis {

/// A worker's way to Redis: forwards requests over its lanes, answers what L1 has and fills L1 from reads.
///
/// What keeps L1 honest: a key is void from the moment a write to it was parsed, and again when the write is
/// answered (or lost); a fill is stored only if the key's epoch has not moved since its read was sent and its
/// connection still is the one that hears of changes.
///
/// Thread: one worker; the keyspace is shared.
class RedisBackend final : public Backend, private LaneOwner {
 public:
  RedisBackend(boost::asio::io_context& io, Poller& poller, const Options& options, Keyspace& keyspace,
               Statistics& statistics, Health& health);
  ~RedisBackend() override;

  [[nodiscard]] Step execute(const Request& request) override;
  [[nodiscard]] bool forwards_unknown() const noexcept override { return true; }
  void drain(std::function<void()> done) override;

 private:
  [[nodiscard]] Step forward(const Request& request, const Route& route);
  void void_written(Lane& lane, const Request& request, const Route& route, InFlight& entry);
  void void_again(Lane& lane, const InFlight& entry);
  [[nodiscard]] Lane& lane_for(const Request& request, const Route& route);

  // --- LaneOwner ---
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply) override;
  void on_push(Lane& lane, ByteView push) override;
  void on_timeout(Lane& lane, const InFlight& entry) override;
  void on_lost(Lane& lane, const InFlight& entry, Fate fate) override;
  void on_doubt(Lane& lane) override;
  void on_ready(Lane& lane, const Handshake& handshake) override;
  void finish_forward(Lane& lane, const InFlight& entry, const Reply& reply);
  void fail(const InFlight& entry, ByteView error);
  [[nodiscard]] bool wants_commands() const override { return context_.caching && !commands_known_; }

  void arm_tick();
  void tick();
  void finish_drain();

  NodeContext context_;
  Health& health_;
  Topology topology_;
  KnownCommands commands_;
  bool commands_known_ = false;
  OpenWrites open_writes_;
  Reads reads_;
  std::vector<KeyRef> keys_;  ///< room for one request's keys
  boost::asio::steady_timer timer_;
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace larder::redis
