#pragma once

#include <string>

#include "backend/postgres/options.h"

namespace larder::postgres {

class BlockingSession;

/// Makes or upgrades Larder's tables, and switches kv between LOGGED and UNLOGGED if the durability changed.
///
/// Errors: SqlError; std::runtime_error when the schema was made by a newer Larder.
/// Life:   several Larders may do this at once; an advisory lock lets one after the other.
void prepare_schema(BlockingSession& session, const Options& options);

/// Only such names are used unquoted in SQL: [a-z_][a-z0-9_]*, at most 40 characters.
[[nodiscard]] bool is_valid_schema_name(const std::string& name);

/// The channel on which the Larders of a schema and its triggers tell of changes.
[[nodiscard]] std::string channel_of(const std::string& schema);

// --- a schema per process (tests) ---

/// A name no other process has: larder_test_<pid>_<random>.
[[nodiscard]] std::string new_test_schema_name();

/// Holds the lock that tells others that the schema's process lives, for as long as the session does.
void claim_test_schema(BlockingSession& session, const std::string& schema);

/// Drops the schemas of processes that ended without doing so themselves.
void reap_test_schemas(BlockingSession& session);

void drop_schema(BlockingSession& session, const std::string& schema);

}  // namespace larder::postgres
