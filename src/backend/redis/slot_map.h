#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/redis/hash_slot.h"

namespace larder::redis {

/// Where a node of a cluster listens, as the cluster says it.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

/// Which masters serve which hash slots.
struct SlotMap {
  static constexpr std::uint16_t kNobody = 0xffff;

  std::vector<Endpoint> masters;                ///< each once, in the order of their first slots
  std::vector<Endpoint> replicas;               ///< each once
  std::vector<std::uint16_t> replicated;        ///< by each of them: index into `masters`
  std::array<std::uint16_t, kHashSlots> owner;  ///< index into `masters`, or kNobody
};

/// Reads the reply to CLUSTER SLOTS, one whole framed reply of either protocol, that `asked_host` gave.
///
/// Shape: a node that does not know its own address says none (null or ""): it is `asked_host` then.
///        Nothing when it is not the slot table of a cluster: an error, another shape, a slot twice.
/// Source: Redis 7.0 cluster.c, clusterReplyMultiBulkSlots; from Redis 7 on each node has metadata behind it.
[[nodiscard]] std::optional<SlotMap> parse_cluster_slots(ByteView reply, const std::string& asked_host);

/// A cluster's answer to a request that it did not run.
struct Redirect {
  enum class Kind : std::uint8_t {
    none,          ///< it is another error, or none
    moved,         ///< `target` serves the slot from now on
    ask,           ///< `target` may have the key: the slot is on its way there
    try_again,     ///< the keys of the request are on both sides of such a move
    cluster_down,  ///< nobody serves the slot at present
    read_only,     ///< the node is a replica (now)
  };

  Kind kind = Kind::none;
  std::uint16_t slot = 0;
  Endpoint target = {};
};

/// Reads an error reply that `asked_host` gave.
[[nodiscard]] Redirect parse_redirect(ByteView reply, const std::string& asked_host);

/// Redirects that a request follows without a pause.
inline constexpr int kMostHops = 5;

}  // namespace larder::redis
