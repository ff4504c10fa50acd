#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backend/redis/slot_map.h"

namespace larder::redis {

/// What one Sentinel says of the master.
struct MasterWord {
  Endpoint at;
  std::uint64_t epoch = 0;  ///< of the failover that made it the master: the higher one is the newer one
};

/// Reads the reply to SENTINEL GET-MASTER-ADDR-BY-NAME: nothing when the Sentinel knows no such master.
///
/// Source: Redis 7.0 sentinel.c; from the moment a failover has promoted a replica that is the answer.
[[nodiscard]] std::optional<Endpoint> parse_master_address(ByteView reply);

/// Reads `config-epoch` in the reply to SENTINEL MASTER, of either protocol; 0 when there is none.
[[nodiscard]] std::uint64_t parse_config_epoch(ByteView reply);

/// Reads the reply to SENTINEL REPLICAS, of either protocol: those that work and have their master, sorted.
[[nodiscard]] std::vector<Endpoint> parse_replicas(ByteView reply);

/// True for the push of a published message, false for the answer to SUBSCRIBE.
[[nodiscard]] bool is_message(ByteView push);

}  // namespace larder::redis
