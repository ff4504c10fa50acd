#pragma once

#include <deque>
#include <memory>

#include "backend/backend.h"
#include "backend/postgres/connection.h"
#include "backend/postgres/shared.h"

namespace larder::postgres {

/// SCAN KEYS DBSIZE RANDOMKEY FLUSHDB FLUSHALL SWAPDB TAGCOUNT TAGKEYS TAGINVALIDATE of one worker, one after
/// the other on a connection of their own, so that a walk over a million keys delays nobody's GET.
///
/// Thread: one worker.
class WholeKeyspace {
 public:
  WholeKeyspace(boost::asio::io_context& io, Poller& poller, Shared& shared);

  /// Errors: SqlError.
  void open_now() { connection_.open_now(); }
  [[nodiscard]] bool is_open() const noexcept { return connection_.is_open(); }

  /// Answers at once (a bad argument) or later.
  [[nodiscard]] Step execute(const Request& request, UnixMs now_ms);

  /// There is no connection: of what is answered with an error, invalidations are done once there is one.
  void keep_for_later(const Request& request);

  /// Commands of this caller must wait: their order with the one under way would be lost.
  [[nodiscard]] bool occupies(const Caller& caller) const noexcept;

  [[nodiscard]] bool idle() const noexcept { return jobs_.empty(); }
  void check_deadline(std::int64_t now_us, std::int64_t allowed_us) {
    connection_.check_deadline(now_us, allowed_us);
  }

 private:
  /// One command: what to ask, and how to answer.
  struct Job {
    Caller* caller = nullptr;
    Ticket ticket = 0;
    const char* sql = nullptr;
    Params params;
    std::function<void(const Result&, ReplyWriter&)> answer;
    bool changes = false;                                     ///< voids the whole L1, here and elsewhere
    std::optional<PendingInvalidations::Entry> invalidation;  ///< repeated until it succeeds
    int attempts = 0;
  };

  using Parser = bool (WholeKeyspace::*)(const Request&, UnixMs, Job&);
  static Parser parser_of(ByteView name) noexcept;

  bool parse_dbsize(const Request& request, UnixMs now_ms, Job& job);
  bool parse_info(const Request& request, UnixMs now_ms, Job& job);
  bool parse_keys(const Request& request, UnixMs now_ms, Job& job);
  bool parse_scan(const Request& request, UnixMs now_ms, Job& job);
  bool parse_randomkey(const Request& request, UnixMs now_ms, Job& job);
  bool parse_flushdb(const Request& request, UnixMs now_ms, Job& job);
  bool parse_flushall(const Request& request, UnixMs now_ms, Job& job);
  bool parse_swapdb(const Request& request, UnixMs now_ms, Job& job);
  bool parse_tagcount(const Request& request, UnixMs now_ms, Job& job);
  bool parse_taginvalidate(const Request& request, UnixMs now_ms, Job& job);
  bool parse_tagkeys(const Request& request, UnixMs now_ms, Job& job);
  static bool check_flush(const Request& request, UnixMs now_ms);

  void start_next();
  void finish(Outcome& outcome);
  void send_notification();

  Shared& shared_;
  Connection connection_;
  std::deque<Job> jobs_;  ///< the first is under way
};

}  // namespace larder::postgres
