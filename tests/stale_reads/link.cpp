#include "stale_reads/link.h"

#include <charconv>
#include <chrono>
#include <thread>

namespace larder::stale {
namespace {

// Larder must answer in its command_timeout and some more; a node that is frozen shall not keep a client
// long.
constexpr int kLarderTimeoutMs = 8000;
constexpr int kNodeTimeoutMs = 500;
constexpr int kTries = 200;
constexpr auto kPause = std::chrono::milliseconds(10);
constexpr ByteView kAsking = "*1\r\n$6\r\nASKING\r\n";

/// The port at the end of `-MOVED 1 127.0.0.1:7000` and the like.
int port_in(ByteView redirect) {
  const ByteView text = redirect.substr(redirect.rfind(':') + 1);
  int port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return port;
}

bool is_passing(ByteView reply) {
  return reply.starts_with("-TRYAGAIN") || reply.starts_with("-CLUSTERDOWN") || reply.starts_with("-LOADING");
}

}  // namespace

std::unique_ptr<Link> open_link(const Place& place, Protocol protocol) {
  if (place.kind == Place::Kind::cluster) return std::make_unique<ClusterLink>(place.ports, kNodeTimeoutMs);
  const int timeout_ms = place.kind == Place::Kind::larder ? kLarderTimeoutMs : kNodeTimeoutMs;
  return std::make_unique<PlainLink>(place.ports.front(), protocol, timeout_ms);
}

Connection& PlainLink::connection() {
  if (connection_ == nullptr) connection_ = std::make_unique<Connection>(port_, protocol_, timeout_ms_);
  return *connection_;
}

ByteView PlainLink::call(ByteView, ByteView request) {
  try {
    connection().send(request);
    return connection().read();
  } catch (const Broken&) {
    close();
    throw;
  }
}

ClusterLink::ClusterLink(std::vector<int> ports, int timeout_ms)
    : ports_(std::move(ports)), timeout_ms_(timeout_ms), random_(std::random_device{}()) {}

ByteView ClusterLink::call(ByteView key, ByteView request) {
  int& owner = owners_[redis::hash_slot(key)];
  for (int tries = 0; tries < kTries; ++tries) {
    if (owner == 0) owner = any_port();
    const int asked = owner;
    owner = 0;  // unless it answers
    const ByteView reply = ask(asked, {}, request);
    if (reply.starts_with("-MOVED")) {
      owner = port_in(reply);
      continue;
    }
    owner = asked;
    const ByteView there = reply.starts_with("-ASK ") ? ask(port_in(reply), kAsking, request) : reply;
    if (!is_passing(there)) return there;
    owner = 0;
    std::this_thread::sleep_for(kPause);
  }
  throw Silent("the cluster sends a request round in circles");
}

ByteView ClusterLink::ask(int port, ByteView prefix, ByteView request) {
  auto& link = links_[port];
  if (link == nullptr) link = std::make_unique<PlainLink>(port, Protocol::resp2, timeout_ms_);
  if (!prefix.empty()) static_cast<void>(link->call({}, prefix));
  return link->call({}, request);
}

int ClusterLink::any_port() {
  return ports_[random_() % ports_.size()];
}

}  // namespace larder::stale
