#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder {

/// 64-bit hash of a key, seeded once per process so that clients cannot aim at one bucket.
///
/// Quality: all 64 bits are usable; the keyspace takes shard and bucket from the top ones.
/// Source:  wyhash-style folded multiplication (128-bit product, halves xored), written for Larder.
[[nodiscard]] std::uint64_t hash_bytes(ByteView bytes) noexcept;

__extension__ using Uint128 = unsigned __int128;

/// The high 64 bits of a 64×64 product: maps a hash onto [0, range) and keeps its order.
[[nodiscard]] constexpr std::uint64_t map_to_range(std::uint64_t hash, std::uint64_t range) noexcept {
  return static_cast<std::uint64_t>((static_cast<Uint128>(hash) * range) >> 64);
}

}  // namespace larder
