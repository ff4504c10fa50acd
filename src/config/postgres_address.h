#pragma once

#include <string>
#include <string_view>

namespace larder::config {

/// Turns the DATABASE_URL of an application into what libpq takes.
///
/// Shape:  a driver's name in the scheme (postgresql+psycopg://) and parameters that only ORMs know
/// (?schema=public)
///         are left out; a conninfo ("host=... dbname=...") stays as it is.
/// Errors: ConfigError when it is no address of a PostgreSQL, without repeating it.
[[nodiscard]] std::string parse_postgres_address(std::string_view address);

}  // namespace larder::config
