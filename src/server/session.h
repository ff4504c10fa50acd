#pragma once

#include <cstdint>
#include <string>

#include "backend/backend.h"
#include "io/poller.h"
#include "io/transport.h"
#include "resp/request_parser.h"
#include "server/accounting.h"
#include "server/output.h"
#include "server/reply_queue.h"
#include "server/transaction.h"

namespace larder {

class Tracking;
class Worker;

/// What CLIENT LIST tells of a connection, apart from what the session does right now.
struct ClientIdentity {
  std::uint64_t id = 0;
  std::string address;  ///< `ip:port` or `path:0`
  std::string local_address;
  bool is_unix = false;
  bool is_tls = false;
  UnixMs connected_at_ms = 0;
};

/// One client connection: bytes in, requests, replies in order, bytes out.
///
/// A state machine that its worker's Poller drives. Input is read into the worker's scratch buffer and parsed
/// there; only an unfinished request is kept, so an idle client owns no buffers.
///
/// Life:   made and owned by its Worker; after close() it lives on while a backend still holds tickets.
/// Thread: its worker; no locking.
class Session final : public Pollable, public Caller {
 public:
  Session(Worker& worker, int fd, ClientIdentity identity);
  ~Session();

  void on_ready(std::uint32_t events) override;

  [[nodiscard]] Ticket defer() override;
  [[nodiscard]] ReplyWriter reply_to(Ticket ticket) override;
  void finish(Ticket ticket) override;
  [[nodiscard]] std::size_t pending() const noexcept override { return queue_.waiting(); }

  void push(ByteView bytes) override;
  void hang_up() override;

  /// Sends what is ready and goes on with what was held back. Called at the end of a batch after finish().
  void settle();

  /// Closes after everything owed has been sent; nothing more is read.
  void close_after_replies() noexcept { closing_ = true; }

  /// Closes now; unsent replies are lost.
  void close();

  /// Sends bytes that no request asked for (MONITOR) once the replies before them are out.
  void send_behind(ByteView bytes);

  /// No more requests are read; what was read is answered, then the connection closes (shutdown).
  void finish_and_close();

  /// Once per second: idle time-out and buffer limits.
  void check_limits(std::int64_t now_us);

  /// CLIENT PAUSE: the request at hand waits, and all behind it, until resume().
  void pause();
  void resume();

  // --- what commands change ---
  enum class ReplyMode : std::uint8_t { on, off, skip, skip_next };
  struct State {
    std::string name, library_name, library_version;
    bool authenticated = false;
    bool monitoring = false;
    bool no_evict = false;
    bool no_touch = false;
    ReplyMode reply_mode = ReplyMode::on;
    std::unique_ptr<Transaction> transaction;  ///< from MULTI to EXEC
  };
  State state;
  /// As CLIENT LIST calls it.
  [[nodiscard]] ByteView user() const noexcept {
    return acts_as == nullptr ? "default" : ByteView(acts_as->user);
  }
  void set_db(int db) noexcept { db_ = db; }
  /// The requests behind the one at hand wait until it is answered.
  void hold_next() noexcept { held_ = true; }
  void set_protocol(Protocol protocol) noexcept { protocol_ = protocol; }
  void reset_state();
  void drop_transaction();  ///< and forgets what was watched

  // --- client-side caching ---
  std::unique_ptr<Tracking> tracking;  ///< from CLIENT TRACKING ON to OFF

  /// As CLIENT GETREDIR says it.
  [[nodiscard]] std::int64_t tracking_redirect() const noexcept;

  [[nodiscard]] std::size_t unsent() const noexcept { return output_.unsent(); }

  /// Replies that have not left, because one before them is waited for.
  [[nodiscard]] bool owes_any() const noexcept { return !queue_.empty(); }
  [[nodiscard]] Ticket last_owed() const noexcept { return queue_.last(); }
  [[nodiscard]] bool owes(Ticket ticket) const noexcept { return queue_.holds(ticket); }
  [[nodiscard]] bool waits_for(Ticket ticket) noexcept {
    return queue_.holds(ticket) && !queue_.place(ticket).done;
  }
  [[nodiscard]] Ticket last_ticket() const noexcept { return last_ticket_; }

  // --- what EXEC needs ---
  std::unique_ptr<Transaction> executing;  ///< its reply is put together here

  /// Appends a part of a reply behind all that has been said and promised.
  void append(ByteView part);

  /// Runs a command of the server's own that was queued.
  void run_queued(const CommandSpec& spec, ByteView raw);

  /// The backend has run SELECT.
  void follow_select(ByteView raw);

  // --- what Redis is asked first ---
  std::unique_ptr<StandIn> asking;

  /// Runs a command of the server's own that has its place among the replies.
  void run_at(Ticket ticket, const CommandSpec& spec, ByteView raw);

  /// CLIENT REPLY: the client does not want the reply.
  [[nodiscard]] bool discards(Ticket ticket) noexcept { return queue_.place(ticket).discard; }

  bool was_shown = false;     ///< the request at hand, to those who MONITOR; it may have to wait after that
  bool marked_dirty = false;  ///< in the worker's list of sessions to settle
  bool released = false;      ///< in the worker's list of sessions to destroy

  [[nodiscard]] const ClientIdentity& identity() const noexcept { return identity_; }
  [[nodiscard]] Worker& worker() noexcept { return worker_; }
  [[nodiscard]] bool is_closed() const noexcept { return !transport_; }

  /// What it has and does, for CLIENT LIST.
  struct Usage {
    int fd;
    std::int64_t idle_us;
    std::size_t input_bytes, input_capacity;  ///< of a request that is not whole yet
    std::size_t parser_bytes;
    std::size_t output_capacity;
    bool waits_for_room;  ///< to send
    ByteView command;     ///< the one at hand, or the last; empty: none that there is
  };
  [[nodiscard]] Usage usage() const noexcept;

 private:
  static constexpr Ticket kNoTicket = UINT64_MAX;

  void shake_hands();
  void read();
  void read_into_scratch();
  void read_into_buffer();
  bool drop_if_too_long();
  [[nodiscard]] bool received(ssize_t count);
  void end_input();
  [[nodiscard]] std::size_t process(ByteView input);
  void process_buffer();
  [[nodiscard]] bool may_go_on() const noexcept;
  [[nodiscard]] bool can_resume() const noexcept;
  [[nodiscard]] Step run(ByteView raw);
  void protocol_error(Errc code);
  void end_caching(const Request& request) noexcept;
  void account(const Request& request, std::size_t reply_start);
  void refuse(const Request& request, std::size_t reply_start);
  void take_back(std::size_t reply_start);
  void limit_handshake(std::int64_t now_us);
  void log_unread() const;
  [[nodiscard]] const OutputBounds& output_bounds() const noexcept;
  void keep(ByteView rest);
  void flush();
  void want(std::uint32_t events);
  void drop_buffers();
  void count_wait();

  Worker& worker_;
  Transport transport_;
  ClientIdentity identity_;
  std::uint32_t wanted_ = 0;  ///< events the Poller watches
  RequestParser parser_;
  Bytes in_;       ///< the unfinished request and what came behind it
  Output output_;  ///< replies ready to be sent
  ReplyQueue queue_{output_.bytes()};
  Ticket last_ticket_ = kNoTicket;
  Ticket reserved_ = kNoTicket;    ///< the place of the request at hand, if it has one
  Ticket open_array_ = kNoTicket;  ///< EXEC's reply is not whole before that one's is there
  const CommandSpec* last_command_ = nullptr;
  const Request* current_ = nullptr;  ///< while it is being run
  Accounting accounting_{*this};
  std::int64_t last_active_us_;
  bool counts_as_blocked_ = false;
  bool held_ = false;      ///< the first request in in_ waits for earlier ones
  bool paused_ = false;    ///< CLIENT PAUSE, or the backend is not ready
  bool closing_ = false;   ///< close when all replies are out
  bool draining_ = false;  ///< nothing more is read: answer what was, then close
};

}  // namespace larder
