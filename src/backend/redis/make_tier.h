#pragma once

#include <chrono>
#include <memory>

#include "backend/backend.h"
#include "config/redis_address.h"

namespace larder::redis {

struct Options {
  config::RedisAddress address;
  std::chrono::milliseconds connect_timeout{2'000};  ///< name look-up, connection and login together
  std::chrono::milliseconds command_timeout{5'000};
  std::chrono::milliseconds ping_interval{1'000};  ///< a connection silent for so long is asked for a sign
  std::chrono::milliseconds ping_timeout{2'000};   ///< … and given up after so long
  std::chrono::milliseconds untracked_ttl{0};      ///< L1 over a Redis that cannot track; 0: none
  std::size_t queue_limit_bytes = std::size_t{64} << 20;  ///< unsent requests of one connection
};

/// One Redis server behind Larder; `keyspace` is the L1 in front of it (a budget of 0 turns it off).
[[nodiscard]] std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace);

}  // namespace larder::redis
