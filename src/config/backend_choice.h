#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace larder::config {

/// Which backend to run on, and why.
struct BackendChoice {
  BackendKind kind = BackendKind::memory;  // never automatic
  std::string address;  // URL or conninfo with its secrets; empty: memory, or libpq finds it by itself
  bool private_postgres = false;    // a PostgreSQL of our own in postgres.data_dir
  bool schema_per_process = false;  // a fresh schema, dropped at exit
  std::string reason;               // "postgres: environment is development and DATABASE_URL is set"
  std::string warning;              // empty, or what the person should know at start
};

/// Decides by the table in docs/configuration.md.
///
/// Shape:  `postgres_binaries_present`: a private PostgreSQL could be started.
/// Errors: ConfigError when the chosen backend has no address or one this build cannot speak to, or when
/// another
///         setting contradicts it.
[[nodiscard]] BackendChoice choose_backend(const Settings& settings, bool postgres_binaries_present);

/// The backend that `redis.fallback` names, as Redis cannot be reached: `problem` says why.
///
/// Errors: as choose_backend().
[[nodiscard]] BackendChoice choose_fallback(const Settings& settings, std::string_view problem,
                                            bool postgres_binaries_present);

/// "redis", "postgres", "memory"; "auto" while it is open.
[[nodiscard]] std::string_view kind_name(BackendKind kind) noexcept;

}  // namespace larder::config
