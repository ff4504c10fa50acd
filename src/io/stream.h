#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

struct sockaddr;

namespace larder {

/// A file descriptor with one owner.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  void reset(int fd = -1) noexcept;  ///< closes what it owns
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Starts a non-blocking connection; the socket becomes writable when it is decided (see connect_error).
///
/// Errors: `error` is set and nothing is owned when it failed at once.
[[nodiscard]] UniqueFd start_connect(const sockaddr& address, std::uint32_t address_size,
                                     std::error_code& error) noexcept;

/// The same to a Unix socket. Errors: also when the path is too long.
[[nodiscard]] UniqueFd start_connect_unix(const std::string& path, std::error_code& error) noexcept;

/// How a connection attempt ended; empty: connected.
[[nodiscard]] std::error_code connect_error(int fd) noexcept;

}  // namespace larder
