#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/redis/handshake.h"
#include "backend/redis/make_tier.h"
#include "backend/redis/open_writes.h"
#include "backend/redis/ring.h"
#include "backend/redis/statistics.h"
#include "io/poller.h"
#include "io/stream.h"
#include "resp/reply_framer.h"

namespace larder::redis {

class Lane;

/// A request that was sent (or waits for the connection), and what its answer is for.
struct InFlight {
  enum class Kind : std::uint8_t {
    forward,    ///< hand the reply to `ticket`
    fill,       ///< PTTL and GET of flight `index`
    many_fill,  ///< PTTLs and MGET of many-flight `index`
    ping,       ///< on a tracked lane the question of swap_watch.h
  };

  Kind kind = Kind::forward;
  bool converts = false;  ///< the lane speaks RESP3, the client RESP2
  bool writes = false;
  bool writes_anything = false;
  bool expired = false;  ///< its client was told; the late reply is thrown away
  std::uint32_t replies_left = 1;
  std::uint32_t written_keys = 0;  ///< how many of the lane's WrittenKeys are its own
  std::uint32_t index = 0;
  Caller* caller = nullptr;
  Ticket ticket = 0;
  std::int64_t sent_us = 0;
};

/// One whole reply. Life: dies when the call it came with returns.
struct Reply {
  ByteView bytes;
  char type;
  bool has_null;
};

/// What a lane tells its owner. None of these may destroy the lane.
class LaneOwner {
 public:
  /// The next reply of `request`; with replies_left == 0 it was the last.
  virtual void on_reply(Lane& lane, const InFlight& request, const Reply& reply) = 0;
  virtual void on_push(Lane& lane, ByteView push) = 0;

  /// The request took too long; its entry stays until its reply comes or the lane is lost.
  virtual void on_timeout(Lane& lane, const InFlight& request) = 0;

  /// No reply will come. `reached` tells whether the request may have been sent.
  enum class Fate : std::uint8_t { never_sent, unknown };
  virtual void on_lost(Lane& lane, const InFlight& request, Fate fate) = 0;

  /// The lane's word is worth nothing from now on: disconnected, or silent for too long. Comes before
  /// on_lost().
  virtual void on_doubt(Lane& lane) = 0;

  virtual void on_ready(Lane& lane, const Handshake& handshake) = 0;
  [[nodiscard]] virtual bool wants_commands() const = 0;

 protected:
  ~LaneOwner() = default;
};

/// What all nodes of a worker share.
struct NodeContext {
  boost::asio::io_context& io;
  Poller& poller;
  const Options& options;
  Keyspace& keyspace;
  Statistics& statistics;
  LaneOwner& owner;
  const bool caching;  ///< L1 is on
};

/// What all lanes of a node share.
struct LaneContext {
  const NodeContext& worker;
  const config::RedisAddress& address;
  const std::string label;  ///< the node in words, without secrets
  Health& health;
};

/// One pipelined connection to Redis: opened on first use, kept, reopened when it is lost.
///
/// Requests leave in the order they were appended, at the end of the Poller's batch; replies come back in the
/// same order and are matched with a FIFO. What arrives while the connection is being made waits for it.
///
/// Invariant: `in_flight_` holds one entry for every request whose reply has not arrived; only a lost
/// connection drops entries. Thread: one worker.
class Lane final : public Pollable {
 public:
  struct Purpose {
    Protocol protocol;
    int db;
    bool tracking;  ///< feeds L1
    SourceId source;
  };

  Lane(const LaneContext& context, const Purpose& purpose);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] const Purpose& purpose() const noexcept { return purpose_; }

  /// The node in words.
  [[nodiscard]] const std::string& label() const noexcept { return context_.label; }

  /// False: the caller has open requests on another lane, and two lanes do not keep their order.
  [[nodiscard]] bool keeps_order(const Caller& caller) const noexcept {
    return caller.lane == this || caller.pending() == 0;
  }

  /// Opens the connection if it is time to. Empty: requests are taken; otherwise why not, for the client.
  [[nodiscard]] ByteView refusal();

  /// Appends a request's bytes; expect() must follow.
  [[nodiscard]] Bytes& output() noexcept { return out_; }

  /// Notes what the appended request waits for.
  void expect(InFlight request);

  /// The keys of unanswered writes, in the order of the FIFO.
  [[nodiscard]] WrittenKeys& written_keys() noexcept { return written_keys_; }

  /// Deadlines: time-outs of requests, of the connection, of the sign of life.
  void tick(std::int64_t now_us);

  void close();
  [[nodiscard]] bool is_quiet() const noexcept { return in_flight_.empty(); }
  [[nodiscard]] bool is_tracked() const noexcept { return tracked_; }

  /// Takes note of a counter of SWAPDB calls; true when it has moved since the last time.
  [[nodiscard]] bool swapdb_moved(std::int64_t calls) noexcept {
    return std::exchange(swapdb_calls_, calls) != calls;
  }

  /// Why there is no connection.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  void on_ready(std::uint32_t events) override;

 private:
  enum class State : std::uint8_t { closed, resolving, connecting, greeting, ready };

  void open();
  void resolve();
  void connect_next();
  void connected();
  void greet(ByteView reply);
  void become_ready();
  void receive();
  void take_input(ByteView received);
  [[nodiscard]] std::size_t take_replies(ByteView input);
  void take_reply(const Reply& reply);
  void schedule_flush();
  void flush();
  void want_output(bool wanted);
  void lose(std::string problem);
  void fail_all(LaneOwner::Fate fate);
  void forget_expired() noexcept;
  void expire_requests(std::int64_t now_us);
  void check_life(std::int64_t now_us);
  void ping(std::int64_t now_us);

  const LaneContext& context_;
  const Purpose purpose_;
  State state_ = State::closed;
  UniqueFd socket_;
  struct Resolver;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Handshake> handshake_;
  ReplyFramer framer_;
  Bytes in_;   ///< an unfinished reply
  Bytes out_;  ///< requests; those before sent_ are gone
  std::size_t sent_ = 0;
  Ring<InFlight> in_flight_;
  std::size_t expired_ = 0;  ///< how many of the oldest in_flight_ have timed out
  WrittenKeys written_keys_;
  bool tracked_ = false;
  std::int64_t swapdb_calls_ = 0;
  std::int64_t pinged_us_ = 0;
  bool ping_in_flight_ = false;
  bool in_doubt_ = false;  ///< on_doubt() was called since the last sign of life
  bool flush_scheduled_ = false;
  bool output_wanted_ = false;
  bool was_ready_ = false;  ///< ever; then a new connection is a reconnect
  std::string problem_;
  std::string refusal_;
  int failures_ = 0;  ///< since the last connection that worked
  std::int64_t retry_at_us_ = 0;
  std::int64_t open_deadline_us_ = 0;
  std::int64_t batch_us_ = 0;  ///< when the first request of this batch was appended
  std::int64_t heard_us_ = 0;  ///< last byte from the upstream
};

}  // namespace larder::redis
