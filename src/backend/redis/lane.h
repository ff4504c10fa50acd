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
#include "backend/redis/tag_batch.h"
#include "io/poller.h"
#include "io/stream.h"
#include "io/transport.h"
#include "resp/as_resp2.h"
#include "resp/reply_framer.h"

namespace larder::redis {

class Lane;
struct Lease;

/// A request that was sent (or waits for the connection), and what its answer is for.
struct InFlight {
  enum class Kind : std::uint8_t {
    forward,       ///< hand the reply to `ticket`
    block,         ///< the same with the last one, EXEC's; `index`: what was said of the commands before it
    upkeep,        ///< the reply is nobody's
    unblock,       ///< CLIENT UNBLOCK number `index`
    fill,          ///< PTTL and GET of flight `index`
    many_fill,     ///< PTTLs and MGET of many-flight `index`
    topology,      ///< CLUSTER SLOTS
    login,         ///< AUTH of login `index`
    tagged,        ///< whether database `index` has the bookkeeping of tags, or scripts are refused
    rights,        ///< ACL GETUSER of Larder's own user
    subscription,  ///< the Subscription `index`: a push for each of its names, or one error
    pong,          ///< PING of a subscriber
    ping,          ///< on a tracked lane the question of swap_watch.h
  };

  Kind kind = Kind::forward;
  bool converts = false;            ///< the lane speaks RESP3, the client RESP2
  Nesting nesting = Nesting::kept;  ///< of the converted reply
  bool reads = false;               ///< it may be sent again though nobody knows what became of it
  bool writes = false;
  bool writes_anything = false;
  bool scripted = false;  ///< Redis got a call of a script in its place
  bool batched = false;   ///< the same, with others
  bool hides = false;     ///< its reply names keys, and the bookkeeping of tags is not shown
  bool is_asked = false;  ///< behind ASKING: what tells of changes is about to end
  bool is_sure = false;   ///< the reply tells whether its one key was changed
  bool flushes = false;   ///< FLUSHALL, FLUSHDB
  bool patient = false;   ///< it may take as long as it likes (BLPOP)
  bool expired = false;   ///< its client was told; the late reply is thrown away
  std::uint32_t replies_left = 1;
  std::uint32_t written_keys = 0;  ///< how many of the lane's WrittenKeys are its own
  std::uint32_t index = 0;
  std::uint32_t errand = 0;  ///< in a cluster: the request, kept so that it can be sent again; 0: none
  Caller* caller = nullptr;
  Ticket ticket = 0;
  std::int64_t sent_us = 0;
  std::int64_t patience_from_us = 0;  ///< when its time-out began: it does not run while its bytes leave
  std::uint32_t bytes = 0;            ///< of the request
  std::uint32_t followers = 0;        ///< so many behind it have the same reply: of a batch
};

/// One whole reply. Life: dies when the call it came with returns.
struct Reply {
  ByteView bytes;
  char type;
  bool needs_resp3;
  std::int64_t took_us = 0;  ///< since the request was handed to the lane
  bool tracked = false;      ///< the lane will hear of changes of what was read
  bool is_asked = false;     ///< where the slot is on its way to, which nobody may listen to yet
};

/// What a lane tells its owner. None of these may destroy the lane.
class LaneOwner {
 public:
  /// The next reply of `request`; with replies_left == 0 it was the last.
  virtual void on_reply(Lane& lane, const InFlight& request, const Reply& reply) = 0;
  virtual void on_push(Lane& lane, ByteView push) = 0;

  /// The request took too long; its entry stays until its reply comes or the lane is lost.
  virtual void on_timeout(Lane& lane, const InFlight& request) = 0;

  /// This write may have been sent, and no reply will come; of all that are lost with a connection it is told
  /// before on_lost().
  virtual void on_losing(const InFlight& write) = 0;

  /// No reply will come. `fate` tells whether the request may have been run.
  enum class Fate : std::uint8_t {
    never_sent,
    not_run,  ///< it was sent, and Redis had not come to it when the connection was cut
    unknown,
  };
  virtual void on_lost(Lane& lane, const InFlight& request, Fate fate) = 0;

  /// The lane's word is worth nothing from now on: disconnected, or silent for too long. Comes before
  /// on_losing() and on_lost().
  virtual void on_doubt(Lane& lane) = 0;

  /// After on_doubt(): it is heard of again, or connected anew.
  virtual void on_trust(Lane& lane) = 0;

  virtual void on_ready(Lane& lane, const Handshake& handshake) = 0;

  /// A request that a lane refuses to take, and why: it is answered with that, or waits for better times.
  [[nodiscard]] virtual Step refuse(const Lane& lane, const Request& request, ByteView refusal) = 0;
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
  const bool caching;        ///< L1 is on
  const std::size_t worker;  ///< its number
};

/// What the lanes of all nodes have in common, by protocol and database: requests on different nodes concern
/// different keys, so they need not wait for one another, as long as no key changes its node.
///
/// Life: of its worker. Shape: odd numbers, which no address of a lane is; null while there is one node only.
class Orders {
 public:
  [[nodiscard]] const void* of(Protocol protocol, int db, int scripts) const noexcept {
    if (changes_ == 0) return nullptr;
    const std::uintptr_t speaks = protocol == Protocol::resp3 ? 1 : 0;
    return reinterpret_cast<const void*>(changes_ << 32 | static_cast<std::uintptr_t>(db) << 5 |
                                         static_cast<std::uintptr_t>(scripts) << 2 | speaks << 1 | 1);
  }

  /// The tokens are others than before.
  void change() noexcept { ++changes_; }

 private:
  std::uintptr_t changes_ = 0;
};

/// What all lanes of a node share.
struct LaneContext {
  const NodeContext& worker;
  const config::RedisAddress& address;
  const std::string label;  ///< the node in words, without secrets
  NodeStatistics& statistics;
  Breaker& breaker;
  Health& health;
  const Orders& orders;
  const std::string_view password_setting = "redis.url";  ///< to be named when a password is missing
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
    Standing standing = Standing::any;   ///< of the node, or there is no connection
    const UpstreamUser* user = nullptr;  ///< the user it is of; null: Larder's own
    bool is_door = false;                ///< carries nothing but AUTH, so it is of nobody
    bool is_private = false;             ///< lent to one client at a time: see PrivateLanes
    bool is_reader = false;              ///< of a replica, and for reads
    bool hears_all = false;              ///< with `tracking`: of all keys that change (BCAST)
    int scripts = 0;     ///< carries scripts only, and is that one of several; 0: what else there is
    bool kills = false;  ///< carries SCRIPT KILL, whatever state the node is in
  };

  Lane(const LaneContext& context, const Purpose& purpose);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] const Purpose& purpose() const noexcept { return purpose_; }

  /// The node in words.
  [[nodiscard]] const std::string& label() const noexcept { return context_.label; }

  [[nodiscard]] const std::string& host() const noexcept { return context_.address.host; }

  /// False: the caller has open requests on another lane, and two lanes do not keep their order.
  [[nodiscard]] bool keeps_order(const Caller& caller) const noexcept {
    return caller.lane == order() || caller.pending() == 0;
  }

  /// The caller's request goes this way: the next one must keep order with it.
  void take_order(Caller& caller) const noexcept { caller.lane = order(); }

  /// Opens the connection if it is time to. Empty: requests are taken; otherwise why not, for the client.
  [[nodiscard]] ByteView refusal();

  /// False: so much is unanswered that the caller, who can wait, should. Its client is not read from
  /// meanwhile.
  [[nodiscard]] bool has_room_for(const Caller& caller) const noexcept {
    return in_flight_bytes_ < context_.worker.options.most_in_flight_bytes || !caller.may_hold();
  }

  /// Appends a request's bytes; expect() must follow.
  [[nodiscard]] Bytes& output() {
    end_batch();
    return out_;
  }

  /// Notes what the appended request waits for.
  void expect(InFlight request);

  /// What is taken into the batch leaves in its place among the requests; expect_in_batch() must follow.
  [[nodiscard]] TagBatch& batch() noexcept { return batch_; }

  /// What is taken into the batch from here on goes in another call.
  void end_batch();

  /// Notes what the request that was taken into the batch waits for.
  void expect_in_batch(InFlight request);

  /// The server refuses a batch because of one of its requests: they go alone from now on.
  void stop_batches() noexcept { takes_batches_ = false; }
  [[nodiscard]] bool takes_batches() const noexcept {
    return takes_batches_ && is_own() && !purpose_.is_private;
  }

  /// The keys of unanswered writes, in the order of the FIFO.
  [[nodiscard]] WrittenKeys& written_keys() noexcept { return written_keys_; }

  /// Deadlines: time-outs of requests, of the connection, of the sign of life.
  void tick(std::int64_t now_us, bool runs_script = false);

  void close();

  /// What waits for a connection that is not there (yet) is lost now.
  void give_up();

  /// The connection is lost now, whatever state it is in, and with it what waits for answers.
  void cut(std::string why) { cut(std::move(why), LaneOwner::Fate::unknown); }

  /// Redis refuses to begin a transaction: the connection is cut before it runs the commands of the block, or
  /// anything else that stands behind.
  void cut_at_block();

  /// How a block is kept from being run when Redis refuses its MULTI.
  enum class BlockGuard : std::uint8_t {
    unknown,    ///< by a WAIT that never ends outside of a transaction, if the user may run that
    wait,       ///< by that
    gate,       ///< what follows MULTI is not sent before its answer
    probation,  ///< the same, until a MULTI goes well: the last one was refused
  };
  [[nodiscard]] BlockGuard block_guard() const noexcept { return block_guard_; }
  void set_block_guard(BlockGuard guard) noexcept { block_guard_ = guard; }

  /// What is appended from here on is not sent before open_gate().
  void close_gate() { gates_.push_back(out_.size()); }
  void open_gate();

  /// The request at the front ends here: of what waits behind the gate its `bytes` are never sent.
  void drop_behind_gate(std::size_t bytes);

  /// Finds out whether the node answers: by a new connection, or by a PING on the one there is.
  void probe(std::int64_t now_us);

  /// Whose it is for now; null: nobody's, or everybody's.
  Lease* lease = nullptr;

  /// Its server was given the scripts of tag_scripts.h since the connection was made.
  bool knows_tag_scripts = false;

  /// CLIENT ID of a private connection, once it is ready; 0 before.
  [[nodiscard]] std::int64_t client_id() const noexcept { return client_id_; }

  /// Connected, and not silent for too long.
  [[nodiscard]] bool is_ready() const noexcept {
    return state_ == State::ready && !in_doubt_ && may_be_used();
  }

  /// What it has to answer next takes long.
  [[nodiscard]] bool is_held_up() const noexcept;

  /// No connection, and none is tried at present; or the node does not answer.
  [[nodiscard]] bool is_down() const noexcept { return state_ == State::closed || !may_be_used(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_ == State::closed; }

  /// In on_doubt(): there was a connection, and not only an attempt to make one.
  [[nodiscard]] bool had_connection() const noexcept { return had_connection_; }
  [[nodiscard]] bool is_quiet() const noexcept { return in_flight_.empty(); }
  [[nodiscard]] bool is_tracked() const noexcept { return tracked_; }

  /// Whatever it has to tell of changes before that moment of the steady clock, it has told.
  [[nodiscard]] std::int64_t told_until_us() const noexcept { return told_until_us_; }

  /// Takes note of a counter of SWAPDB calls; true when it has moved since the last time.
  [[nodiscard]] bool swapdb_moved(std::int64_t calls) noexcept {
    return std::exchange(swapdb_calls_, calls) != calls;
  }

  /// As whom it logs in.
  [[nodiscard]] config::RedisAddress login() const;

  /// Takes note of what Redis lets its user do, or of an error; true when it is not what it was the last
  /// time.
  [[nodiscard]] bool rights_changed(ByteView rights) noexcept {
    tells_rights_ = !rights.starts_with('-');
    const std::uint64_t hash = tells_rights_ ? hash_bytes(rights) : 0;
    const std::uint64_t before = std::exchange(rights_hash_, hash);
    return tells_rights_ && before != 0 && before != hash;
  }

  /// False: Redis has refused to, and would enter each attempt in its ACL LOG.
  [[nodiscard]] bool tells_rights() const noexcept { return tells_rights_; }

  /// Redis does not accept its user (any more), who is not Larder's own.
  [[nodiscard]] bool lost_its_rights() const noexcept { return login_refused_ && !is_own(); }

  /// The first word of an error about it.
  [[nodiscard]] ByteView error_class() const noexcept { return lost_its_rights() ? "NOAUTH" : "ERR"; }

  /// The next attempt need not wait.
  void forgive() noexcept { retry_at_us_ = 0; }

  /// Its failures are the node's. A script that takes long says nothing of that, clients' own connections end
  /// with those clients or with their rights, and without a replica nothing is missing.
  [[nodiscard]] bool speaks_for_node() const noexcept {
    return is_own() && !purpose_.is_private && !purpose_.is_reader && purpose_.scripts == 0;
  }

  /// Of Larder's own user.
  [[nodiscard]] bool is_own() const noexcept { return purpose_.user == nullptr && !purpose_.is_door; }

  /// Why there is no connection.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  void on_ready(std::uint32_t events) override;

 private:
  enum class State : std::uint8_t { closed, resolving, connecting, securing, greeting, ready };

  [[nodiscard]] const void* order() const noexcept {
    const void* const shared = context_.orders.of(purpose_.protocol, purpose_.db, purpose_.scripts);
    return shared != nullptr && !purpose_.is_private ? shared : this;
  }

  void open();
  void resolve();
  void connect_next();
  void connected();
  void secure();
  void shake_hands();
  void send_greeting();
  void greet(ByteView reply);
  void note_login(bool refused) noexcept;
  void become_ready();
  void receive();
  void take_input(ByteView received);
  [[nodiscard]] std::size_t take_replies(ByteView input);
  void take_reply(Reply& reply);
  [[nodiscard]] bool is_unasked(const Reply& reply) const noexcept;
  void hand_out(Reply& reply);
  void queue(InFlight& request);
  void schedule_flush();
  void flush();
  void empty_output();
  void want_output(bool wanted);
  void renew_patience(std::size_t unsent);
  [[nodiscard]] bool is_overdue(const InFlight& request, std::int64_t limit_us) const noexcept;
  void cut(std::string why, LaneOwner::Fate fate);
  void lose(std::string problem, LaneOwner::Fate fate = LaneOwner::Fate::unknown);
  void fail_all(LaneOwner::Fate fate);
  [[nodiscard]] bool may_be_used() const noexcept { return context_.breaker.is_closed() || purpose_.kills; }
  void tell_of_loss(bool was_up);
  void count_success();
  void count_failure();
  void forget_expired() noexcept;
  void expire_requests(std::int64_t now_us);
  [[nodiscard]] bool is_behind() noexcept;
  void check_life(std::int64_t now_us, bool runs_script);
  [[nodiscard]] bool asks_for_larder_only() noexcept;
  void ping(std::int64_t now_us);

  const LaneContext& context_;
  const Purpose purpose_;
  State state_ = State::closed;
  Transport socket_;
  struct Resolver;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Handshake> handshake_;
  ReplyFramer framer_;
  Bytes in_;   ///< an unfinished reply
  Bytes out_;  ///< requests; those before sent_ are gone
  std::size_t sent_ = 0;
  std::size_t expected_ = 0;  ///< of out_: requests that are in in_flight_
  TagBatch batch_;            ///< goes behind out_; its requests are the last ones of in_flight_
  bool takes_batches_ = true;
  Ring<std::size_t> gates_;  ///< places in out_
  BlockGuard block_guard_;
  Ring<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::size_t expired_ = 0;  ///< how many of the oldest in_flight_ have timed out
  WrittenKeys written_keys_;
  bool tracked_ = false;
  std::int64_t swapdb_calls_ = 0;
  std::int64_t client_id_ = 0;
  std::int64_t pinged_us_ = 0;
  std::int64_t told_until_us_ = 0;  ///< when the last ping was sent that is answered
  bool ping_in_flight_ = false;
  bool in_doubt_ = false;  ///< on_doubt() was called since the last sign of life
  bool flush_scheduled_ = false;
  bool output_wanted_ = false;
  bool login_refused_ = false;  ///< in the last attempt
  bool tells_rights_ = true;
  std::uint64_t rights_hash_ = 0;  ///< of the user's rules; 0: not known
  std::uint32_t losses_ = 0;  ///< of connections: when it moves, the one at hand is gone, and may have a heir
  bool had_connection_ = false;
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
