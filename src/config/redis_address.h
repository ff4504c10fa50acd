#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::config {

/// One Redis server and how to log in to it.
struct RedisAddress {
  std::string host;  // name or IP address without brackets; empty when `path` is set
  std::uint16_t port = 6379;
  std::string path;  // Unix socket; empty when `host` is set
  std::string user;
  std::string password;
  unsigned db = 0;

  bool operator==(const RedisAddress&) const = default;
};

/// Reads `redis://[[user]:password@]host[:port][/db]` or `unix://[[user]:password@]/path[?db=N]`.
///
/// Shape:  user, password, host and path are percent-decoded; an IPv6 host is in brackets; user info without
/// ':' is
///         a password, as in redis-cli.
/// Errors: ConfigError that says what is wrong, never with the password in it.
[[nodiscard]] RedisAddress parse_redis_url(std::string_view url);

}  // namespace larder::config
