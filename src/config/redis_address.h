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
/// Shape:  user, password and path are percent-decoded; an IPv6 host is in brackets; a bare "host:port" is
/// not a URL. Errors: ConfigError with what is wrong, never with the password in it.
[[nodiscard]] RedisAddress parse_redis_url(std::string_view url);

/// The URL with its password replaced by "***".
[[nodiscard]] std::string mask_secrets(std::string_view url);

}  // namespace larder::config
