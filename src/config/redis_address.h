#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::config {

/// One Redis server and how to log in to it.
struct RedisAddress {
  std::string host;  // name or IP address without brackets; empty when `path` is set
  std::uint16_t port = 6379;
  std::string path;  // Unix socket; empty when `host` is set
  std::string user;
  std::string password;
  unsigned db = 0;
  bool tls = false;

  bool operator==(const RedisAddress&) const = default;
};

/// Another node of the same cluster, or a Sentinel.
struct RedisSeed {
  std::string host;
  std::uint16_t port = 6379;

  bool operator==(const RedisSeed&) const = default;
};

/// What a redis.url leads to.
struct RedisTarget {
  RedisAddress address;               // of a cluster: its first node; behind Sentinels: the login, no host
  std::vector<RedisSeed> more_seeds;  // of a cluster: the other nodes that are named
  bool is_cluster = false;            // otherwise the server at `address` says whether it belongs to one
  std::vector<RedisSeed> sentinels;   // that say where the master is; none: `address` is known
  std::string master_name;            // what they call it
};

/// Reads `redis://[[user]:password@]host[:port][/db]`, the same with `rediss` for TLS, or
/// `unix://[[user]:password@]/path[?db=N]`.
///
/// Shape:  user, password, host and path are percent-decoded; an IPv6 host is in brackets; user info without
/// ':' is
///         a password, as in redis-cli.
/// Errors: ConfigError that says what is wrong, never with the password in it.
[[nodiscard]] RedisAddress parse_redis_url(std::string_view url);

/// The same, or `redis-cluster://[[user]:password@]host[:port][,host[:port]…][/]`, or
/// `redis-sentinel://[[user]:password@]host[:port][,host[:port]…]/master-name[/db]`, whose login is for the
/// master and its replicas; or those with `rediss`.
[[nodiscard]] RedisTarget parse_redis_target(std::string_view url);

/// The URL of the cluster that REDIS_CLUSTER_NODES names: `host[:port][,host[:port]…]`, each perhaps with
/// `redis://` or `rediss://` before it. `login_url` lends it the user and the password, and TLS, if it has
/// none itself.
[[nodiscard]] std::string cluster_url(std::string_view nodes, std::string_view login_url);

/// Whether each of those nodes has one: a word that is not meant as a node has none.
[[nodiscard]] bool has_ports(std::string_view nodes);

}  // namespace larder::config
