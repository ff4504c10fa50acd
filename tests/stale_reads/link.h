#pragma once

#include <array>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/redis/hash_slot.h"
#include "stale_reads/connection.h"

namespace larder::stale {

/// Where the data can be had: a Larder, a Redis, or the nodes of a cluster.
struct Place {
  enum class Kind { larder, redis, cluster };
  std::string name;
  Kind kind;
  std::vector<int> ports;
};

/// One client's way to a place. A broken connection is opened again by the next call.
///
/// Errors: Broken and Silent, as Connection; a write that threw may have been done. Thread: one.
class Link {
 public:
  virtual ~Link() = default;

  /// The reply to one request about `key`. Life: until the next call.
  [[nodiscard]] virtual ByteView call(ByteView key, ByteView request) = 0;
};

[[nodiscard]] std::unique_ptr<Link> open_link(const Place& place, Protocol protocol);

/// To a server that answers for all keys.
class PlainLink : public Link {
 public:
  PlainLink(int port, Protocol protocol, int timeout_ms)
      : port_(port), protocol_(protocol), timeout_ms_(timeout_ms) {}

  [[nodiscard]] ByteView call(ByteView key, ByteView request) override;

  /// For pipelines: reading and writing are the caller's.
  [[nodiscard]] Connection& connection();
  void close() noexcept { connection_.reset(); }

 private:
  const int port_;
  const Protocol protocol_;
  const int timeout_ms_;
  std::unique_ptr<Connection> connection_;
};

/// Straight to the masters of a cluster; redirects are followed, nodes that are lost are avoided.
class ClusterLink : public Link {
 public:
  ClusterLink(std::vector<int> ports, int timeout_ms);

  [[nodiscard]] ByteView call(ByteView key, ByteView request) override;

 private:
  [[nodiscard]] ByteView ask(int port, ByteView prefix, ByteView request);
  [[nodiscard]] int any_port();

  const std::vector<int> ports_;
  const int timeout_ms_;
  std::minstd_rand random_;
  std::array<int, redis::kHashSlots> owners_{};  ///< by slot the port; 0: unknown
  std::unordered_map<int, std::unique_ptr<PlainLink>> links_;
};

}  // namespace larder::stale
