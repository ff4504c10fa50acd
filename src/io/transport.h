#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "io/stream.h"
#include "io/tls_context.h"

namespace larder {

/// A connected, non-blocking socket: its bytes as they are, or with TLS around them.
///
/// receive() and send() are recv(2) and send(2), errno included. Without TLS they are nothing else.
///
/// Invariant: no received byte waits inside OpenSSL, where no Poller would see it: receive() is always given
///            room for a whole TLS record. Thread: one worker.
class Transport {
 public:
  static constexpr std::size_t kLeastRoom = 16 * 1024;

  Transport() noexcept;
  explicit Transport(UniqueFd fd) noexcept;
  Transport(Transport&&) noexcept;
  Transport& operator=(Transport&&) noexcept;
  ~Transport();

  /// Everything that follows goes through TLS: shake_hands() until it is done.
  void secure(const TlsContext& context, const std::string& host = {});

  enum class Handshake : std::uint8_t { done, wants_input, wants_output, hung_up, failed };
  [[nodiscard]] Handshake shake_hands();
  [[nodiscard]] bool is_shaking_hands() const noexcept { return tls_ != nullptr && !is_through(); }

  /// `room` has kLeastRoom bytes or more. A broken TLS connection is EPROTO.
  [[nodiscard]] ssize_t receive(std::span<char> room) {
    return tls_ == nullptr ? ::recv(fd_.get(), room.data(), room.size(), 0) : receive_secured(room);
  }

  /// What was not taken comes again, with the same bytes at its front.
  [[nodiscard]] ssize_t send(ByteView bytes) {
    return tls_ == nullptr ? ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL)
                           : send_secured(bytes);
  }

  /// The last receive() said EAGAIN, but it is output that it waits for (an answer inside TLS).
  [[nodiscard]] bool receives_after_output() const noexcept { return tls_ != nullptr && waits_for_output(); }

  /// What hung_up, failed or -1 was about, in words.
  [[nodiscard]] std::string problem() const;

  /// Takes its leave, if TLS asks for it, and closes.
  void close() noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] bool is_secured() const noexcept { return tls_ != nullptr; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

 private:
  struct Tls;

  [[nodiscard]] bool is_through() const noexcept;
  [[nodiscard]] bool waits_for_output() const noexcept;
  [[nodiscard]] ssize_t receive_secured(std::span<char> room);
  [[nodiscard]] ssize_t send_secured(ByteView bytes);

  UniqueFd fd_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace larder
