// mixed_load PORT SECONDS CONNECTIONS HOT_KEYS COLD_SHARE FIRST_COLD: GETs of hot keys, and of cold ones,
// each once.
//
// Every connection has one request under way. Prints: requests per second, p50 and p99 in µs, cold keys asked
// for.

#include <array>
#include <random>
#include <sys/epoll.h>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "resp/reply_framer.h"
#include "socket.h"

namespace larder {
namespace {

/// Which key comes next.
class Keys {
 public:
  Keys(std::uint32_t hot, double cold_share, std::uint32_t first_cold)
      : hot_(0, hot - 1), is_cold_(cold_share), first_cold_(first_cold) {}

  [[nodiscard]] Bytes next() {
    if (is_cold_(random_)) return fmt::format("cold:{:011}", first_cold_ + cold_asked_++);
    return fmt::format("key:{:012}", hot_(random_));
  }
  [[nodiscard]] std::uint32_t cold_asked() const noexcept { return cold_asked_; }

 private:
  std::minstd_rand random_{std::random_device{}()};
  std::uniform_int_distribution<std::uint32_t> hot_;
  std::bernoulli_distribution is_cold_;
  const std::uint32_t first_cold_;
  std::uint32_t cold_asked_ = 0;
};

/// One connection with one request under way.
class Client {
 public:
  explicit Client(int port) : fd_(connect_to(port)) {}

  void ask(Keys& keys) {
    const Bytes key = keys.next();
    const Bytes request = fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key);
    sent_us_ = steady_now_us();
    send_all(fd_, request);
  }

  /// Reads what has come; true when the reply is whole.
  [[nodiscard]] bool take(Histogram& latency) {
    std::array<char, 16 * 1024> buffer;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) fail("recv");
    reply_.append(buffer.data(), static_cast<std::size_t>(count));
    const auto status = framer_.parse(reply_);
    if (!status || reply_[0] != '$' || reply_[1] == '-') fail("not a value");
    if (*status != ReplyFramer::Status::ready) return false;
    reply_.clear();
    latency.record(steady_now_us() - sent_us_);
    return true;
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  ReplyFramer framer_;
  Bytes reply_;
  std::int64_t sent_us_ = 0;
};

/// Requests answered until `seconds` are over.
std::uint64_t run(std::vector<Client>& clients, double seconds, Keys& keys, Histogram& latency) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  for (Client& client : clients) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, client.fd(), &event);
    client.ask(keys);
  }
  std::uint64_t answered = 0;
  std::array<epoll_event, 64> events;
  for (const std::int64_t end_us = steady_now_us() + static_cast<std::int64_t>(seconds * 1e6);
       steady_now_us() < end_us;) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events.size(), 1000);
    for (int i = 0; i < count; ++i) {
      Client& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (!client.take(latency)) continue;
      ++answered;
      client.ask(keys);
    }
  }
  return answered;
}

}  // namespace
}  // namespace larder

int main(int argc, char** argv) {
  using namespace larder;
  if (argc != 7) fail("mixed_load PORT SECONDS CONNECTIONS HOT_KEYS COLD_SHARE FIRST_COLD");
  std::vector<Client> clients;
  for (int left = std::atoi(argv[3]); left > 0; --left) clients.emplace_back(std::atoi(argv[1]));
  Keys keys(static_cast<std::uint32_t>(std::atoi(argv[4])), std::atof(argv[5]),
            static_cast<std::uint32_t>(std::atoi(argv[6])));
  Histogram latency;
  const double seconds = std::atof(argv[2]);
  const std::uint64_t answered = run(clients, seconds, keys, latency);
  const HistogramSnapshot all = latency.snapshot();
  fmt::print("{} {} {} {}\n", static_cast<double>(answered) / seconds, all.percentile_us(50),
             all.percentile_us(99), keys.cold_asked());
  return 0;
}
