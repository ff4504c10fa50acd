#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/redis/flights.h"
#include "backend/redis/lane.h"

namespace larder::redis {

class Topology;

/// The users of Redis as which a worker's clients have logged in.
///
/// A client's AUTH is judged by Redis, on a connection that carries nothing else (Node::door()). From then on
/// the client's requests go over connections of that user, which it shares with clients that gave the same
/// password. Who logs in as Larder's own user is one of Larder's own.
///
/// Thread: one worker.
class Users {
 public:
  Users(const NodeContext& context, Topology& topology) : context_(context), topology_(topology) {}

  void log_in(ByteView user, ByteView password, LoginDone done);

  /// Redis has judged the login of `entry`.
  void on_reply(const InFlight& entry, const Reply& reply);

  /// It has not, and will not or takes too long; on_reply() or forget() must still follow.
  void fail(const InFlight& entry, ByteView error);

  /// No reply will come.
  void forget(const InFlight& entry) { logins_.give_back(entry.index); }

  /// Closes the connections of users whose last client has gone.
  void tick(std::int64_t now_us);

 private:
  struct Attempt {
    std::string user, password;
    LoginDone done;
  };
  struct Known {
    std::shared_ptr<const UpstreamUser> user;
    std::int64_t unused_since_us = 0;  ///< 0: in use
  };

  void answer(std::uint32_t index, const Login& login);
  [[nodiscard]] Login welcome(const Attempt& attempt);
  [[nodiscard]] bool is_own(ByteView user) const noexcept;
  [[nodiscard]] bool try_drop(const Known& known);

  const NodeContext& context_;
  Topology& topology_;
  Pool<Attempt> logins_;
  std::vector<Known> known_;
};

}  // namespace larder::redis
