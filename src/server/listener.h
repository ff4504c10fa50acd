#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "server/session.h"

namespace boost::asio {
class io_context;
}

namespace larder {

/// The listening sockets of the process.
///
/// Errors: open() throws std::runtime_error with one sentence that says what to do (port in use, no
/// permission …). Thread: the io_context it was made with.
class Listener {
 public:
  using Accepted = std::function<void(int fd, ClientIdentity identity)>;

  /// For want of descriptors a client goes to `refused`, which is to close `fd` at once.
  using Refused = std::function<void(int fd, const ClientIdentity& identity)>;

  Listener(boost::asio::io_context& io, Accepted accepted, Refused refused);
  ~Listener();

  void open(const config::ServerSettings& settings);
  void close();

  /// The TCP ports in use (the one asked for, or the one the kernel chose for 0); 0 without.
  [[nodiscard]] std::uint16_t tcp_port() const noexcept { return plain_port_; }
  [[nodiscard]] std::uint16_t tls_port() const noexcept { return tls_port_; }

  /// What it listens on, for the log: `127.0.0.1:6379`, `127.0.0.1:6380 (TLS)`, `/run/larder.sock`.
  [[nodiscard]] const std::vector<std::string>& addresses() const noexcept { return addresses_; }

 private:
  enum class Wrapping : std::uint8_t { none, tls };

  void listen_tcp(const std::string& address, std::uint16_t wanted_port, Wrapping wrapping);
  void listen_unix(const config::ServerSettings& settings);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::uint16_t plain_port_ = 0, tls_port_ = 0;
  std::vector<std::string> addresses_;
  std::string unix_path_;
};

}  // namespace larder
