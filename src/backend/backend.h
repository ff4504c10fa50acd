#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "command/spec.h"
#include "keyspace/keyspace.h"
#include "resp/protocol.h"

namespace boost::asio {
class io_context;
}

namespace larder {

class Poller;

/// A reserved place in a client's reply order.
using Ticket = std::uint64_t;

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

  /// Requests that wait for a reply.
  [[nodiscard]] virtual std::size_t pending() const noexcept = 0;

  [[nodiscard]] int db() const noexcept { return db_; }
  [[nodiscard]] Protocol protocol() const noexcept { return protocol_; }

  /// The upstream connection that carries this caller's open requests; backend redis keeps order with it.
  const void* lane = nullptr;

 protected:
  ~Caller() = default;
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
  done,     ///< the reply has been appended to request.reply
  pending,  ///< a ticket was taken; the reply comes later
  hold,     ///< nothing was done: run it again when all earlier requests of this caller are answered
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

  /// Stops taking work: what was accepted is finished or fails; `done` is called on this worker when nothing
  /// is left.
  virtual void drain(std::function<void()> done) = 0;
};

/// Lines of INFO's `# Tiers` that only the backend knows, in order.
struct BackendReport {
  std::vector<std::pair<std::string, std::string>> fields;
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

  /// Thread: any.
  [[nodiscard]] virtual BackendReport report() const = 0;

  /// Forgets counters and latencies (CONFIG RESETSTAT). Thread: any.
  virtual void reset_statistics() = 0;

  /// After the last worker has ended: closes what the process owns (private PostgreSQL, test schema).
  virtual void stop() = 0;
};

}  // namespace larder
