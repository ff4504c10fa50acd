#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "config/settings.h"

struct ssl_ctx_st;
struct ssl_st;

namespace larder {

struct FreeSsl {
  void operator()(ssl_st* ssl) const noexcept;
};

/// OpenSSL's state of one connection.
using Ssl = std::unique_ptr<ssl_st, FreeSsl>;

/// What TLS was told and cannot do: the last part of the key's name ("cert_file"), and words that go on after
/// its name.
class TlsError : public std::runtime_error {
 public:
  TlsError(std::string key, const std::string& words) : std::runtime_error(words), key_(std::move(key)) {}

  [[nodiscard]] const std::string& key() const noexcept { return key_; }

 private:
  std::string key_;
};

/// What is asked of the other side.
enum class PeerCheck : std::uint8_t {
  none,
  optional,  ///< of clients: a certificate that is shown must be good
  certificate,
  name,  ///< of servers: the certificate is for the name that was dialled
};

struct TlsOptions {
  enum class Role : std::uint8_t { server, client };

  Role role;
  PeerCheck check;
  config::TlsSettings settings;
  std::string server_name{};                            ///< of a client: asked for instead of the host's name
  std::chrono::milliseconds handshake_timeout{10'000};  ///< of a server
};

/// Keys, certificates and rules of one direction of TLS; makes the state of its connections.
///
/// Life:   connections keep what held when they were made. Thread: any.
class TlsContext {
 public:
  /// Reads the files. Errors: TlsError.
  explicit TlsContext(TlsOptions options);

  /// Reads the files again, for connections to come. Errors: TlsError; then nothing has changed.
  void reload();

  /// The state of a new connection on `fd`; `host` is the one that a client dials.
  [[nodiscard]] Ssl make_connection(int fd, const std::string& host = {}) const;

  [[nodiscard]] const TlsOptions& options() const noexcept { return options_; }

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;

  [[nodiscard]] Context load() const;
  [[nodiscard]] Context current() const;

  const TlsOptions options_;
  mutable std::mutex mutex_;
  Context context_;  ///< guarded by mutex_
};

/// An entry of OpenSSL's queue of errors, in words.
[[nodiscard]] std::string tls_complaint(unsigned long code);

}  // namespace larder
