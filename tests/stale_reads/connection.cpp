#include "stale_reads/connection.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <fmt/format.h>

namespace larder::stale {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

[[noreturn]] void fail(int port, const char* what) {
  const std::string text = fmt::format("127.0.0.1:{}: {}: {}", port, what, std::strerror(errno));
  if (errno == EAGAIN || errno == EINPROGRESS) throw Silent(text);
  throw Broken(text);
}

}  // namespace

void append_request(Bytes& out, const std::vector<ByteView>& words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const ByteView word : words)
    fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
}

Connection::Connection(int port, Protocol protocol, int timeout_ms)
    : port_(port), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval timeout{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    ::setsockopt(socket_.get(), SOL_SOCKET, option, &timeout, sizeof timeout);
  const int at_once = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    fail(port, "connect");
  if (protocol != Protocol::resp3) return;
  send("HELLO 3\r\n");
  if (const ByteView hello = read(); hello.front() != '%') throw Broken("HELLO 3: " + Bytes(hello));
}

void Connection::send(ByteView requests) {
  while (!requests.empty()) {
    const ssize_t count = ::send(socket_.get(), requests.data(), requests.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(port_, "send");
    requests.remove_prefix(static_cast<std::size_t>(count));
  }
}

ByteView Connection::read() {
  while (true) {
    const ByteView rest = ByteView(input_).substr(taken_);
    const auto status = framer_.parse(rest);
    if (!status) throw Broken(fmt::format("127.0.0.1:{}: not RESP: {}", port_, rest.substr(0, 100)));
    if (*status == ReplyFramer::Status::ready) {
      taken_ += framer_.size();
      return rest.substr(0, framer_.size());
    }
    receive();
  }
}

void Connection::receive() {
  input_.erase(0, taken_);
  taken_ = 0;
  const std::size_t had = input_.size();
  input_.resize(had + kReadBytes);
  const ssize_t count = ::recv(socket_.get(), input_.data() + had, kReadBytes, 0);
  input_.resize(had + static_cast<std::size_t>(count < 0 ? 0 : count));
  if (count < 0 && errno != EINTR) fail(port_, "recv");
  if (count == 0) throw Broken(fmt::format("127.0.0.1:{}: closed by the server", port_));
}

}  // namespace larder::stale
