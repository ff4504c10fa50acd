#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder::redis {

inline constexpr std::uint16_t kHashSlots = 16384;

/// The hash slot of a key: CRC16 (XMODEM) of it, or of its `{tag}` if it has one that is not empty.
///
/// Source: Redis Cluster specification, "Keys distribution model" and "Hash tags".
[[nodiscard]] std::uint16_t hash_slot(ByteView key) noexcept;

}  // namespace larder::redis
