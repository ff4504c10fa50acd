#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/redis/breaker.h"
#include "backend/redis/l1_policy.h"
#include "config/redis_address.h"
#include "config/settings.h"
#include "io/tls_context.h"

namespace larder::redis {

/// What is behind Larder.
enum class Deployment : std::uint8_t {
  unknown,  ///< not asked yet
  single,
  cluster,
  sentinel,  ///< one master at a time, that Sentinels name
};

/// Those who say where the master is; none: its address is known.
struct SentinelOptions {
  std::vector<config::RedisSeed> nodes;
  std::string master_name;     ///< what they call it
  std::string user, password;  ///< for themselves
};

struct Options {
  config::RedisAddress address;
  std::vector<config::RedisSeed> more_seeds;         ///< other nodes of the same cluster
  bool must_be_cluster = false;                      ///< otherwise the server at `address` says what it is
  std::shared_ptr<TlsContext> tls{};                 ///< where `address` asks for TLS
  SentinelOptions sentinels;                         ///< then `address` has the login, but no host
  std::chrono::milliseconds connect_timeout{2'000};  ///< name look-up, connection and login together
  std::chrono::milliseconds command_timeout{5'000};
  std::chrono::milliseconds ping_interval{1'000};  ///< a connection silent for so long is asked for a sign
  std::chrono::milliseconds ping_timeout{2'000};   ///< … and given up after so long
  int private_connections = 1000;  ///< that clients have of their own at once, over all workers
  bool reads_from_replicas = false;
  BreakerOptions breaker{};
  /// Unanswered requests of one connection: beyond it clients wait.
  std::size_t most_in_flight_bytes = std::size_t{64} << 20;
  L1Options l1{};
  std::string tag_prefix = "larder:tags:";  ///< of the keys in which the tags of all others are kept
};

/// Takes over the settings that may change while the process runs.
void adopt(Options& options, const config::Settings& settings);

/// One Redis server, or a cluster, behind Larder; `keyspace` is the L1 in front of it (a budget of 0 turns it
/// off).
[[nodiscard]] std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace);

}  // namespace larder::redis
