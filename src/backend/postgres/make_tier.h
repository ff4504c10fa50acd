#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/postgres/options.h"
#include "keyspace/keyspace.h"

namespace larder::postgres {

/// Reaches (or starts) PostgreSQL, prepares the schema and begins to listen for changes.
///
/// Errors: std::runtime_error with one sentence that holds no password.
[[nodiscard]] std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace);

}  // namespace larder::postgres
