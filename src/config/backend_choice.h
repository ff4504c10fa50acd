#pragma once

#include <string>

#include "config/settings.h"

namespace larder::config {

/// Which backend to run on, and why.
struct BackendChoice {
  BackendKind kind = BackendKind::memory;  // never automatic
  std::string address;  // URL or conninfo, with secrets; empty for memory and for what libpq finds itself
  bool private_postgres = false;    // start a PostgreSQL of our own in postgres.data_dir
  bool schema_per_process = false;  // a fresh schema, dropped at exit
  std::string reason;               // "postgres: environment is development and DATABASE_URL is set"
  std::string warning;              // empty, or what the person should know at start
};

/// Decides by design.md 7; `postgres_binaries_present` says whether a private PostgreSQL could be started.
///
/// Errors: ConfigError when the chosen backend has no address or one that this build cannot speak to.
[[nodiscard]] BackendChoice choose_backend(const Settings& settings, bool postgres_binaries_present);

}  // namespace larder::config
