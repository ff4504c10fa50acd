#pragma once

#include "base/clock.h"
#include "keyspace/keyspace.h"

namespace larder {

/// What time it is in these tests.
inline constexpr UnixMs kNow = 1'000'000;

/// Nothing is evicted.
inline Keyspace::Options roomy() {
  return {.budget_bytes = 64 << 20, .eviction = Eviction::none};
}

}  // namespace larder
