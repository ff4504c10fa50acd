#pragma once

#include <memory>

#include "backend/backend.h"

namespace larder::memory {

/// The backend that is complete in itself: the keyspace is the store, nothing lies behind it.
[[nodiscard]] std::unique_ptr<Tier> make_tier(Keyspace& keyspace);

}  // namespace larder::memory
