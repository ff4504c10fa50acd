#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "config/redis_address.h"
#include "resp/protocol.h"

namespace larder::redis {

/// What a node must be to be used, by its own word.
enum class Standing : std::uint8_t {
  any,  ///< it is not asked
  master,
  replica,  ///< one that has its master
};

/// The first words on an upstream connection, sent as one pipeline; sans-io.
///
/// In this order: AUTH, ROLE (if it matters), READONLY (if it is read from as a replica), COMMAND (if
/// wanted), HELLO 3, SELECT, CLIENT SETNAME, CLIENT ID (if wanted), INFO commandstats, CLIENT TRACKING ON
/// [BCAST]. COMMAND stands before HELLO so that its reply is RESP2 whatever the connection speaks later.
class Handshake {
 public:
  struct Wishes {
    Protocol protocol = Protocol::resp2;
    int db = 0;
    bool tracking = false;
    bool commands = false;  ///< learn the upstream's commands
    Standing standing = Standing::any;
    std::string_view password_setting = "redis.url";  ///< to be named when a password is missing
    bool stranger = false;                            ///< nobody logs in yet, so all it says is PING
    bool hurries = false;  ///< the same behind AUTH: a server whose script is to be killed answers no more
    bool client_id = false;
    bool readonly = false;   ///< a replica of a cluster shall answer reads
    bool hears_all = false;  ///< with tracking: of all keys that change
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

  /// CLIENT ID, if it was wanted and answered; 0 otherwise.
  [[nodiscard]] std::int64_t client_id() const noexcept { return client_id_; }

  /// With Outcome::refused: what the upstream did not accept, in words.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  /// With Outcome::refused: it was the login.
  [[nodiscard]] bool login_refused() const noexcept { return login_refused_; }

  /// The reply to COMMAND; empty when it was not asked or not answered.
  [[nodiscard]] const Bytes& commands() const noexcept { return commands_; }

 private:
  enum class Step : std::uint8_t {
    ping,
    auth,
    role,
    readonly,
    commands,
    hello,
    select,
    name,
    client_id,
    statistics,
    tracking
  };

  void ask(Step step, std::initializer_list<ByteView> words);
  void take_role(ByteView reply);
  void take_error(Step step, ByteView text);

  Bytes request_;
  Bytes commands_;
  std::vector<Step> steps_;
  std::size_t next_ = 0;
  int db_;
  Standing standing_;
  std::string_view password_setting_;
  std::int64_t swapdb_calls_ = 0;
  std::int64_t client_id_ = 0;
  bool speaks_resp3_ = false;
  bool tracks_ = false;
  bool login_refused_ = false;
  std::string tracking_problem_;
  std::string refusal_;
};

/// Appends a request in RESP form.
void append_request(Bytes& out, std::initializer_list<ByteView> words);

}  // namespace larder::redis
