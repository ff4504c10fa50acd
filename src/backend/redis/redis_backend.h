#pragma once

#include <map>
#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "backend/backend.h"
#include "backend/redis/flights.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/lane.h"

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
  // --- reads that L1 may answer ---
  [[nodiscard]] Step get(const Request& request);
  [[nodiscard]] Step mget(const Request& request);
  [[nodiscard]] bool may_use_l1(const Request& request, const KeyRef& key) const noexcept;
  [[nodiscard]] Step fill(const Request& request, const KeyRef& key);
  static void join(Flight& flight, const Request& request, Lane& lane);
  [[nodiscard]] Step fill_many(const Request& request);
  [[nodiscard]] FillTerms terms_of(const Lane& lane, const Request& request) const noexcept;
  [[nodiscard]] bool may_fill(const Lane& lane) const noexcept;
  [[nodiscard]] UnixMs expiry_of(const Lane& lane, UnixMs sent_ms, std::int64_t ttl_ms) const noexcept;
  void store(const Lane& lane, const KeyRef& key, ByteView value, bool absent, std::int64_t ttl_ms,
             Epoch noted, const FillTerms& terms);
  void store_many(const Lane& lane, const ManyFlight& flight, ByteView reply);

  // --- everything else ---
  [[nodiscard]] Step forward(const Request& request, const Route& route);
  void void_written(Lane& lane, const Request& request, const Route& route, InFlight& entry);
  void void_again(Lane& lane, const InFlight& entry);
  [[nodiscard]] Lane& lane_for(const Request& request, const Route& route);
  Lane& lane(Protocol protocol, int db);
  [[nodiscard]] static bool must_hold(const Request& request, const Lane& lane) noexcept;

  // --- LaneOwner ---
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply) override;
  void on_push(Lane& lane, ByteView push) override;
  void on_timeout(Lane& lane, const InFlight& entry) override;
  void on_lost(Lane& lane, const InFlight& entry, Fate fate) override;
  void on_doubt(Lane& lane) override;
  void on_ready(Lane& lane, const Handshake& handshake) override;
  void finish_forward(Lane& lane, const InFlight& entry, const Reply& reply);
  void finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply);
  void finish_many(Lane& lane, const InFlight& entry, const Reply& reply);
  static void answer(const InFlight& entry, const Reply& reply);
  static void answer_error(const Waiter& waiter, ByteView error);
  void fail(Lane& lane, const InFlight& entry, ByteView error);
  [[nodiscard]] bool wants_commands() const override { return caching_ && !commands_known_; }

  void arm_tick();
  void tick();
  void finish_drain();

  const Options& options_;
  Keyspace& keyspace_;
  Statistics& statistics_;
  Health& health_;
  const bool caching_;  ///< L1 is on
  const CommandSpec* const get_;
  const CommandSpec* const mget_;
  LaneContext context_;
  std::vector<std::unique_ptr<Lane>> lanes_;  ///< by protocol and database; null until used
  KnownCommands commands_;
  bool commands_known_ = false;
  Flights flights_;
  Pool<ManyFlight> many_;
  OpenWrites open_writes_;
  std::vector<KeyRef> keys_;  ///< room for one request's keys
  boost::asio::steady_timer timer_;
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace larder::redis
