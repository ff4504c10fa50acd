#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "gate/relay.h"

namespace larder::gate {

/// Passes connections to one port of 127.0.0.1 on to another one, and does harm to them.
///
/// Invariant: connections_ has an open connection under both of its sockets. Thread: one.
class Gate {
 public:
  /// Errors: std::runtime_error when it cannot listen.
  Gate(int port, int target, bool drops_pushes);

  /// Serves until stdin ends. A line on stdin is a command, answered with the number of open connections:
  ///   delay US         what is read from now on is passed on so much later, in both directions
  ///   cut              resets all connections
  ///   refuse, accept   resets new ones as well, until accept
  ///   count            nothing
  void run();

 private:
  struct Connection {
    UniqueFd client, server;
    Relay up, down;
    std::uint32_t client_events, server_events;  ///< that are watched for
  };
  struct Due {
    std::int64_t at_us;
    std::weak_ptr<Connection> connection;
  };

  void accept_all();
  void serve(int fd, std::uint32_t events);
  void write_due(std::int64_t now_us);
  void write(const std::shared_ptr<Connection>& connection, std::int64_t now_us);
  void watch(Connection& connection);
  void drop(Connection& connection);
  void cut();
  [[nodiscard]] bool obey();
  [[nodiscard]] int open_connections() const noexcept { return static_cast<int>(connections_.size() / 2); }

  const int target_;
  const bool drops_pushes_;
  UniqueFd listener_, epoll_;
  std::unordered_map<int, std::shared_ptr<Connection>> connections_;
  std::deque<Due> due_;  ///< in the order in which it is due, unless the delay was made shorter
  std::int64_t delay_us_ = 0;
  bool refuses_ = false;
  std::string commands_;  ///< unfinished line
};

}  // namespace larder::gate
