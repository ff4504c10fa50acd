// set_load PORT CONNECTIONS PIPELINE FIRST COUNT WITH: one SET of each of COUNT keys, from number FIRST on,
// in an order without a pattern.
//
// WITH is `plain`, or `tags`: then key N carries `posts` and `user:N/10`, whenever it is written. Prints:
// requests per second.

#include <array>
#include <cstring>
#include <sys/epoll.h>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "resp/reply_framer.h"
#include "socket.h"

namespace larder {
namespace {

enum class With { nothing, tags };

/// The requests that are still to be sent.
class Requests {
 public:
  Requests(std::uint64_t first, std::uint64_t count, With with) : first_(first), count_(count), with_(with) {}

  [[nodiscard]] bool any_left() const noexcept { return sent_ < count_; }

  void append_next(Bytes& out) {
    // A prime that no count is a multiple of, so every number comes once.
    constexpr std::uint64_t kStride = 618'970'031;
    const std::uint64_t number = first_ + sent_++ * kStride % count_;
    constexpr const char* kValue =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "x";
    static_assert(std::char_traits<char>::length(kValue) == 100);
    out += with_ == With::tags ? "*7" : "*3";
    fmt::format_to(std::back_inserter(out), "\r\n$3\r\nSET\r\n$20\r\nkey:{:016}\r\n$100\r\n{}\r\n", number,
                   kValue);
    if (with_ == With::nothing) return;
    const Bytes tag = fmt::format("user:{}", number / 10);
    fmt::format_to(std::back_inserter(out), "$4\r\nTAGS\r\n$1\r\n2\r\n$5\r\nposts\r\n${}\r\n{}\r\n",
                   tag.size(), tag);
  }

 private:
  const std::uint64_t first_, count_;
  const With with_;
  std::uint64_t sent_ = 0;
};

/// A connection that sends the next requests when all before are answered.
class Client {
 public:
  Client(int port, int pipeline) : fd_(connect_to(port)), pipeline_(pipeline) {}

  void ask(Requests& requests) {
    asked_.clear();
    for (; waiting_ < pipeline_ && requests.any_left(); ++waiting_) requests.append_next(asked_);
    send_all(fd_, asked_);
  }

  /// Reads what has come; true when nothing is waited for any more.
  [[nodiscard]] bool take() {
    std::array<char, 16 * 1024> buffer;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) fail("recv");
    replies_.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t taken = 0;
    while (waiting_ > 0) {
      const ByteView rest = ByteView(replies_).substr(taken);
      const auto status = framer_.parse(rest);
      if (!status || (!rest.empty() && rest[0] != '+')) fail("not OK");
      if (*status != ReplyFramer::Status::ready) break;
      taken += framer_.size();
      --waiting_;
    }
    replies_.erase(0, taken);
    return waiting_ == 0;
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  const int pipeline_;
  int waiting_ = 0;
  ReplyFramer framer_;
  Bytes asked_, replies_;
};

void run(std::vector<Client>& clients, Requests& requests) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::size_t busy = 0;
  for (Client& client : clients) {
    if (!requests.any_left()) break;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, client.fd(), &event);
    client.ask(requests);
    ++busy;
  }
  std::array<epoll_event, 64> events;
  while (busy > 0) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      Client& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (!client.take()) continue;
      if (requests.any_left())
        client.ask(requests);
      else
        --busy;
    }
  }
}

}  // namespace
}  // namespace larder

int main(int argc, char** argv) {
  using namespace larder;
  if (argc != 7) fail("set_load PORT CONNECTIONS PIPELINE FIRST COUNT plain|tags");
  std::vector<Client> clients;
  for (int left = std::atoi(argv[2]); left > 0; --left)
    clients.emplace_back(std::atoi(argv[1]), std::atoi(argv[3]));
  const auto count = static_cast<std::uint64_t>(std::atoll(argv[5]));
  Requests requests(static_cast<std::uint64_t>(std::atoll(argv[4])), count,
                    ByteView(argv[6]) == "tags" ? With::tags : With::nothing);
  const std::int64_t started_us = steady_now_us();
  run(clients, requests);
  fmt::print("{}\n", static_cast<double>(count) * 1e6 / static_cast<double>(steady_now_us() - started_us));
  return 0;
}
