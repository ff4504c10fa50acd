#pragma once

#include <cstdint>
#include <string>

#include "backend/backend.h"
#include "io/poller.h"
#include "resp/request_parser.h"
#include "server/reply_queue.h"

namespace larder {

class Worker;
struct OutputBounds;

/// What CLIENT LIST tells of a connection, apart from what the session does right now.
struct ClientIdentity {
  std::uint64_t id = 0;
  std::string address;  ///< `ip:port` or `path:0`
  std::string local_address;
  bool is_unix = false;
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

  /// Sends what is ready and goes on with what was held back. Called at the end of a batch after finish().
  void settle();

  /// Closes after everything owed has been sent; nothing more is read.
  void close_after_replies() noexcept { closing_ = true; }

  /// Closes now; unsent replies are lost.
  void close();

  /// Sends bytes that no request asked for (MONITOR, pushes) once the replies before them are out.
  void send_push(ByteView bytes);

  /// No more requests are read; what was read is answered, then the connection closes (shutdown).
  void finish_and_close();

  /// Once per second: idle time-out and buffer limits.
  void check_limits(std::int64_t now_us);

  /// Goes on after CLIENT PAUSE.
  void resume();

  // --- what commands change ---
  enum class ReplyMode : std::uint8_t { on, off, skip, skip_next };
  struct State {
    std::string name, library_name, library_version;
    std::string user = "default";
    bool authenticated = false;
    bool monitoring = false;
    bool no_evict = false;
    bool no_touch = false;
    ReplyMode reply_mode = ReplyMode::on;
  };
  State state;
  void set_db(int db) noexcept { db_ = db; }
  void set_protocol(Protocol protocol) noexcept { protocol_ = protocol; }
  void reset_state();

  bool marked_dirty = false;  ///< in the worker's list of sessions to settle
  bool released = false;      ///< in the worker's list of sessions to destroy

  [[nodiscard]] const ClientIdentity& identity() const noexcept { return identity_; }
  [[nodiscard]] Worker& worker() noexcept { return worker_; }
  [[nodiscard]] bool is_closed() const noexcept { return fd_ < 0; }
  [[nodiscard]] std::string describe(UnixMs now_ms) const;  ///< its line in CLIENT LIST, without line end
  [[nodiscard]] const CommandSpec* last_command() const noexcept { return last_command_; }

 private:
  void read();
  void read_into_scratch();
  void read_into_buffer();
  [[nodiscard]] bool received(ssize_t count);
  [[nodiscard]] std::size_t process(ByteView input);
  void process_buffer();
  [[nodiscard]] bool may_go_on() const noexcept;
  [[nodiscard]] bool can_resume() const noexcept;
  [[nodiscard]] Step run(ByteView raw);
  [[nodiscard]] Step dispatch(Request& request);
  [[nodiscard]] bool resolve(Request& request);
  [[nodiscard]] bool is_paused(const Request& request);
  void show_monitors(const Request& request);
  [[nodiscard]] Step set_with_default_ttl(Request request);
  [[nodiscard]] ByteView encode(std::span<const ByteView> argv);
  void protocol_error(Errc code);
  void account(const Request& request, std::size_t reply_start);
  void record(const CommandSpec* spec, std::int64_t took_us, ByteView reply);
  [[nodiscard]] bool exceeds(const OutputBounds& bounds, std::int64_t now_us);
  void keep(ByteView rest);
  void flush();
  void drop_sent_half();
  void adapt_most_pending(std::size_t reply_bytes) noexcept;
  void want(std::uint32_t events);
  void drop_buffers();

  Worker& worker_;
  int fd_;
  ClientIdentity identity_;
  std::size_t most_pending_ = 32;  ///< requests in flight at once; follows the size of their replies
  std::uint32_t wanted_ = 0;       ///< events the Poller watches
  RequestParser parser_;
  Bytes in_;              ///< the unfinished request and what came behind it
  Bytes out_;             ///< replies ready to be sent
  std::size_t sent_ = 0;  ///< of out_
  ReplyQueue queue_{out_};
  const CommandSpec* last_command_ = nullptr;
  const Request* current_ = nullptr;  ///< while it is being run
  std::int64_t started_us_ = 0;       ///< of the request being run
  std::int64_t last_active_us_;
  std::int64_t over_soft_since_us_ = 0;  ///< unsent replies exceed the soft bound; 0 = they do not
  bool held_ = false;                    ///< the first request in in_ waits for earlier ones
  bool paused_ = false;                  ///< CLIENT PAUSE
  bool closing_ = false;                 ///< close when all replies are out
  bool draining_ = false;                ///< shutdown: answer what was read, then close
};

}  // namespace larder
