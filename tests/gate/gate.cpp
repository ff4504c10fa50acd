#include "gate/gate.h"

#include <array>
#include <iostream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

namespace larder::gate {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd listen_at(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int again = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
  const sockaddr_in address = loopback(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 1024) != 0)
    throw std::runtime_error("cannot listen at port " + std::to_string(port));
  return fd;
}

/// Its close will be a reset.
void make_abrupt(int fd) {
  const linger none{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void send_at_once(int fd) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

Gate::Gate(int port, int target, bool drops_pushes)
    : target_(target),
      drops_pushes_(drops_pushes),
      listener_(listen_at(port)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  ::prctl(PR_SET_TIMERSLACK, 1);
  for (const int fd : {listener_.get(), STDIN_FILENO}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
}

void Gate::run() {
  std::array<epoll_event, 128> events;
  while (true) {
    const std::int64_t wait_us =
        due_.empty() ? 1'000'000 : std::max<std::int64_t>(0, due_.front().at_us - steady_now_us());
    const timespec timeout{wait_us / 1'000'000, wait_us % 1'000'000 * 1000};
    const int count = ::epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == STDIN_FILENO && !obey()) return;
      if (event.data.fd == listener_.get())
        accept_all();
      else if (event.data.fd != STDIN_FILENO)
        serve(event.data.fd, event.events);
    }
    write_due(steady_now_us());
  }
}

void Gate::accept_all() {
  while (true) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(target_);
    // On loopback this is decided at once.
    if (refuses_ ||
        ::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      make_abrupt(client.get());
      continue;
    }
    const int ours = client.get(), theirs = server.get();
    std::optional<PushFilter> filter;
    if (drops_pushes_) filter.emplace();
    const auto connection = std::make_shared<Connection>(
        Connection{std::move(client), std::move(server), Relay(ours, theirs, std::nullopt),
                   Relay(theirs, ours, std::move(filter)), EPOLLIN, EPOLLIN});
    for (const int fd : {ours, theirs}) {
      send_at_once(fd);
      connections_[fd] = connection;
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    }
  }
}

void Gate::serve(int fd, std::uint32_t events) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;  // dropped by an event before this one
  const std::shared_ptr<Connection> connection = found->second;
  Relay& relay = fd == connection->client.get() ? connection->up : connection->down;
  const std::int64_t now_us = steady_now_us();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (relay.read(now_us, delay_us_) == Relay::State::ended) return drop(*connection);
    if (delay_us_ > 0) due_.push_back({now_us + delay_us_, connection});
  }
  write(connection, now_us);
}

void Gate::write_due(std::int64_t now_us) {
  while (!due_.empty() && due_.front().at_us <= now_us) {
    if (const auto connection = due_.front().connection.lock()) write(connection, now_us);
    due_.pop_front();
  }
}

void Gate::write(const std::shared_ptr<Connection>& connection, std::int64_t now_us) {
  if (connections_.count(connection->client.get()) == 0) return;
  const bool ended = connection->up.write(now_us) == Relay::State::ended ||
                     connection->down.write(now_us) == Relay::State::ended;
  if (ended) return drop(*connection);
  watch(*connection);
}

void Gate::watch(Connection& connection) {
  const auto update = [this](int fd, std::uint32_t& watched, const Relay& from, const Relay& to) {
    const std::uint32_t wanted = (from.is_full() ? 0u : EPOLLIN) | (to.is_stuck() ? EPOLLOUT : 0u);
    if (wanted == watched) return;
    watched = wanted;
    epoll_event event{.events = wanted, .data = {.fd = fd}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  };
  update(connection.client.get(), connection.client_events, connection.up, connection.down);
  update(connection.server.get(), connection.server_events, connection.down, connection.up);
}

/// Closes both sides; neither can be half closed with Redis and Larder.
void Gate::drop(Connection& connection) {
  const int client = connection.client.get(), server = connection.server.get();
  connection.client.reset();
  connection.server.reset();
  connections_.erase(client);
  connections_.erase(server);
}

void Gate::cut() {
  while (!connections_.empty()) {
    const std::shared_ptr<Connection> connection = connections_.begin()->second;
    make_abrupt(connection->client.get());
    make_abrupt(connection->server.get());
    drop(*connection);
  }
}

/// False at the end of stdin.
bool Gate::obey() {
  std::array<char, 256> buffer;
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count <= 0) return false;
  commands_.append(buffer.data(), static_cast<std::size_t>(count));
  for (std::size_t end; (end = commands_.find('\n')) != std::string::npos; commands_.erase(0, end + 1)) {
    const std::string line = commands_.substr(0, end);
    if (line.starts_with("delay ")) delay_us_ = std::stol(line.substr(6));
    if (line == "refuse") refuses_ = true;
    if (line == "accept") refuses_ = false;
    if (line == "cut" || line == "refuse") cut();
    std::cout << open_connections() << std::endl;
  }
  return true;
}

}  // namespace larder::gate
