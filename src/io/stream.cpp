#include "io/stream.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder {
namespace {

std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

}  // namespace

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

UniqueFd start_connect(const sockaddr& address, std::uint32_t address_size, std::error_code& error) noexcept {
  UniqueFd socket(::socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    error = last_error();
    return {};
  }
  if (address.sa_family != AF_UNIX) {
    const int on = 1;  // requests leave when a batch ends: there is nothing to wait for
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (::connect(socket.get(), &address, address_size) < 0 && errno != EINPROGRESS) {
    error = last_error();
    return {};
  }
  error.clear();
  return socket;
}

UniqueFd start_connect_unix(const std::string& path, std::error_code& error) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    error = std::make_error_code(std::errc::filename_too_long);
    return {};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return start_connect(reinterpret_cast<const sockaddr&>(address), sizeof address, error);
}

std::error_code connect_error(int fd) noexcept {
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0) return last_error();
  return {code, std::generic_category()};
}

}  // namespace larder
