#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "config/redis_address.h"
#include "resp/protocol.h"

namespace larder::redis {

/// The first words on an upstream connection, sent as one pipeline; sans-io.
///
/// In this order: AUTH, COMMAND (if wanted), HELLO 3, SELECT, CLIENT SETNAME, INFO commandstats, CLIENT
/// TRACKING ON. COMMAND stands before HELLO so that its reply is RESP2 whatever the connection speaks later.
class Handshake {
 public:
  struct Wishes {
    Protocol protocol = Protocol::resp2;
    int db = 0;
    bool tracking = false;
    bool commands = false;  ///< learn the upstream's commands
  };
  enum class Outcome : std::uint8_t { more, done, refused };

  Handshake(const config::RedisAddress& address, const Wishes& wishes);

  /// What to send.
  [[nodiscard]] const Bytes& request() const noexcept { return request_; }

  /// Takes the next reply.
  [[nodiscard]] Outcome take(ByteView reply);

  [[nodiscard]] bool speaks_resp3() const noexcept { return speaks_resp3_; }
  [[nodiscard]] bool tracks() const noexcept { return tracks_; }

  /// Why it does not track, though that was wished for.
  [[nodiscard]] const std::string& tracking_problem() const noexcept { return tracking_problem_; }

  /// With tracking: how often SWAPDB has run (see swap_watch.h).
  [[nodiscard]] std::int64_t swapdb_calls() const noexcept { return swapdb_calls_; }

  /// With Outcome::refused: what the upstream did not accept, in words.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  /// The reply to COMMAND; empty when it was not asked or not answered.
  [[nodiscard]] const Bytes& commands() const noexcept { return commands_; }

 private:
  enum class Step : std::uint8_t { auth, commands, hello, select, name, statistics, tracking };

  void ask(Step step, std::initializer_list<ByteView> words);
  void take_error(Step step, ByteView text);

  Bytes request_;
  Bytes commands_;
  std::vector<Step> steps_;
  std::size_t next_ = 0;
  int db_;
  std::int64_t swapdb_calls_ = 0;
  bool speaks_resp3_ = false;
  bool tracks_ = false;
  std::string tracking_problem_;
  std::string refusal_;
};

/// Appends a request in RESP form.
void append_request(Bytes& out, std::initializer_list<ByteView> words);

}  // namespace larder::redis
