#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "command/spec.h"
#include "config/settings.h"
#include "keyspace/keyspace.h"
#include "resp/protocol.h"

namespace boost::asio {
class io_context;
}

namespace larder {

class Poller;

/// A reserved place in a client's reply order.
using Ticket = std::uint64_t;

/// A user of the second tier as which clients have logged in.
///
/// Thread: its worker's.
struct UpstreamUser {
  std::string user, password;
  mutable bool is_refused = false;  ///< no longer accepted: it was deleted, or its password changed
};

/// What became of a login.
struct Login {
  bool accepted = false;
  std::shared_ptr<const UpstreamUser> user{};  ///< null: Larder's own
  Bytes error{};                               ///< why not, if anybody said more than no
};
using LoginDone = std::function<void(const Login&)>;

/// How much a client is subscribed to.
struct Subscribed {
  std::uint32_t channels = 0, patterns = 0;
  std::uint32_t shard_channels = 0;  ///< SSUBSCRIBE

  [[nodiscard]] bool any() const noexcept { return channels + patterns + shard_channels > 0; }
};

/// The client a request came from, as a backend sees it. Implemented by server/session.
///
/// Life:   stays alive while it has open tickets, even when the client has gone (its replies are then thrown
/// away). Thread: the worker that owns it; a backend answers on the same worker.
class Caller {
 public:
  /// Reserves the current request's place among the replies; call it once, inside execute(), before
  /// Step::pending.
  [[nodiscard]] virtual Ticket defer() = 0;

  /// A writer into the ticket's place, in the protocol the client spoke when it asked.
  [[nodiscard]] virtual ReplyWriter reply_to(Ticket ticket) = 0;

  /// The reply is complete; it leaves when all before it have left (flushed at the end of the batch).
  virtual void finish(Ticket ticket) = 0;

  /// Hands the client what it did not ask for, whole replies in the protocol that it speaks now: it leaves
  /// before all replies that are not there yet.
  virtual void push(ByteView) {}

  /// Closes the client's connection once what it is owed has left.
  virtual void hang_up() {}

  /// Requests that wait for a reply.
  [[nodiscard]] virtual std::size_t pending() const noexcept = 0;

  /// Whether Step::hold is an answer to its requests.
  [[nodiscard]] virtual bool may_hold() const noexcept { return true; }

  /// The client behind it: another one where this asks for a part of a request only.
  [[nodiscard]] virtual Caller& client() noexcept { return *this; }

  [[nodiscard]] int db() const noexcept { return db_; }
  [[nodiscard]] Protocol protocol() const noexcept { return protocol_; }

  /// What it has of a backend that outlives a request; the backend keeps it up to date.
  struct Holdings {
    bool blocked = false;      ///< its request waits for something to happen
    bool watching = false;     ///< WATCH: what it reads must not be older than that
    bool subscribing = false;  ///< it is subscribed, or about to be
    Subscribed subscribed = {};

    [[nodiscard]] bool any() const noexcept { return blocked || watching || subscribing; }
  };
  Holdings holds;

  /// Whose state counts: itself, but for a caller that stands in for a client.
  Caller* principal = this;

  /// The upstream connection that carries this caller's open requests; backend redis keeps order with it.
  const void* lane = nullptr;

  /// Whose rights the client has in the second tier; null: Larder's own. Changes only while nothing is
  /// pending.
  std::shared_ptr<const UpstreamUser> acts_as;

  /// It keeps what it reads (CLIENT TRACKING), so it had better read where changes are heard of.
  enum class Tracks : std::uint8_t {
    nothing,
    reads,       ///< it is told of the keys that it has read
    everything,  ///< BCAST
  };
  Tracks tracks = Tracks::nothing;

  /// Its keys are not told to itself when it writes them (CLIENT TRACKING NOLOOP); 0: they are.
  ReaderId spared = 0;

  /// With a reply, at once or finished next: whatever changes what it shows will be told by the keyspace to
  /// those who track its keys. Not set by the backend: nobody may be told.
  bool is_heard_of = false;

  /// How long the second tier had the request whose reply is finished next; for SLOWLOG.
  std::int64_t upstream_us = 0;

 protected:
  ~Caller() = default;

  /// For requests on its behalf, its state is the client's.
  void stand_in_for(const Caller& client) {
    principal = client.principal;
    acts_as = client.acts_as;
    holds.watching = client.holds.watching;
    tracks = client.tracks;
    spared = client.spared;
    db_ = client.db();
    protocol_ = client.protocol();
  }

  int db_ = 0;
  Protocol protocol_ = Protocol::resp2;
};

/// One parsed request on its way to a backend.
///
/// Life: the views die when execute() returns; what is needed later is copied.
struct Request {
  const CommandSpec* spec;  ///< null: not in our table (backend redis forwards it all the same)
  std::span<const ByteView> argv;
  ByteView raw;  ///< the request in RESP form, as the client sent it
  UnixMs now_ms;
  Caller& caller;
  ReplyWriter& reply;  ///< for Step::done
};

/// What became of a request.
enum class Step : std::uint8_t {
  done,      ///< the reply has been appended to request.reply
  pending,   ///< a ticket was taken; the reply comes later
  blocking,  ///< the same, and nothing that the caller has sent behind it may run before
  hold,  ///< nothing was done: run it again when all earlier requests of this caller are answered (soon, if
         ///< all are)
};

/// A worker's way to the second tier.
///
/// Thread: one worker; `keyspace` is shared with the others.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Runs a data or keyspace command (Runner::data, Runner::keyspace) or, on redis, any command the server
  /// does not run. Errors: become error replies to this caller; nothing is thrown.
  [[nodiscard]] virtual Step execute(const Request& request) = 0;

  /// True when a command outside our table may be tried (redis forwards it); otherwise the server says
  /// "unknown command".
  [[nodiscard]] virtual bool forwards_unknown() const noexcept { return false; }

  /// True when it runs MULTI … EXEC (backend/block.h).
  [[nodiscard]] virtual bool has_transactions() const noexcept { return false; }

  /// False: the second tier would not queue it between MULTI and EXEC, and the reason was appended to
  /// request.reply. What it does not know it finds out at EXEC.
  [[nodiscard]] virtual bool may_queue(const Request&) { return true; }

  /// False: a transaction is refused for what was queued before the first command that could not be, and the
  /// reason, which comes first, was appended to request.reply. Shape: as EXEC in execute().
  [[nodiscard]] virtual bool may_abort(const Request&) { return true; }

  /// True when it runs SUBSCRIBE and the like.
  [[nodiscard]] virtual bool has_subscriptions() const noexcept { return false; }

  /// Appends the keys that a client has then read, if it only reads: those who keep the reply must be told of
  /// their changes. Life: of `request.raw`.
  virtual void append_read_keys(const Request& request, std::vector<KeyRef>& keys) {
    const CommandSpec* const spec = request.spec;
    if (spec == nullptr || spec->runner != Runner::data || !spec->flags.has(Flag::readonly)) return;
    collect_keys(*spec, Call{request.argv, request.caller.db(), request.now_ms, request.reply}, keys);
  }

  /// Whether its keyspace hears of each change of any key, of those that nobody has read through Larder too.
  /// When that has not been so for a while, TrackedKeys::all_changed() is called.
  [[nodiscard]] virtual bool hears_everything() const noexcept { return true; }

  /// Sees to it that it does so for as long as TrackedKeys has a client of Mode::all. `done` is called once
  /// on this worker, perhaps at once: with the reason if that is not possible.
  using HearsDone = std::function<void(ByteView error)>;
  virtual void hear_everything(HearsDone done) {
    done(hears_everything() ? ByteView() : "ERR BCAST is not supported by this backend without L1");
  }

  /// Where the first key of such a request stands; 0: it has none, or nobody knows.
  [[nodiscard]] virtual int first_key_position(const Request&) const { return 0; }

  /// Asks the second tier about a user that Larder does not know itself; `done` is called once on this
  /// worker, perhaps at once.
  virtual void log_in(ByteView /*user*/, ByteView /*password*/, LoginDone done) { done({}); }

  /// Takes over those settings that may change while the process runs (server/live_settings.cpp names them).
  virtual void adopt(const config::Settings&) {}

  /// Forgets what the caller watches.
  virtual void unwatch(Caller&) {}

  /// Forgets all that the caller holds: it is gone, or starts anew.
  virtual void abandon(Caller&) {}

  /// CLIENT UNBLOCK: ends the wait of a blocked caller; `done` tells, perhaps later, whether it did.
  enum class Unblock : std::uint8_t { timeout, error };
  virtual void unblock(Caller&, Unblock, std::function<void(bool)> done) { done(false); }

  /// Stops taking work: what was accepted is finished or fails; `done` is called on this worker when nothing
  /// is left.
  virtual void drain(std::function<void()> done) = 0;
};

/// Lines of INFO that only the backend knows, in order.
struct BackendReport {
  std::vector<std::pair<std::string, std::string>> fields;      ///< of `# Tiers`
  std::vector<std::pair<std::string, std::string>> nodes = {};  ///< of `# Nodes`: one for each server behind
};

/// The second tier as a whole: one per process, made in main before the workers.
class Tier {
 public:
  virtual ~Tier() = default;

  /// Makes the worker's backend; called on the main thread before the workers run.
  [[nodiscard]] virtual std::unique_ptr<Backend> make_backend(boost::asio::io_context& io,
                                                              Poller& poller) = 0;

  /// The database that clients start in. Thread: any.
  [[nodiscard]] virtual int first_db() const noexcept { return 0; }

  /// A Redis Cluster, of which clients see one node that serves all slots. Thread: any.
  [[nodiscard]] virtual bool is_cluster() const noexcept { return false; }

  /// Thread: any.
  [[nodiscard]] virtual BackendReport report() const = 0;

  /// Forgets counters and latencies (CONFIG RESETSTAT). Thread: any.
  virtual void reset_statistics() = 0;

  /// After the last worker has ended: closes what the process owns (private PostgreSQL, test schema).
  virtual void stop() = 0;
};

}  // namespace larder
