#include "config/postgres_address.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "config/codec.h"
#include "config/settings.h"

namespace larder::config {
namespace {

// Prisma's parameters: libpq refuses a URL with a parameter that it does not know.
constexpr std::array<std::string_view, 9> kForeignParameters{"schema",
                                                             "connection_limit",
                                                             "pool_timeout",
                                                             "pgbouncer",
                                                             "socket_timeout",
                                                             "sslidentity",
                                                             "statement_cache_size",
                                                             "sslaccept",
                                                             "single_use_connections"};

bool is_foreign(std::string_view parameter) {
  return std::ranges::count(kForeignParameters, parameter.substr(0, parameter.find('='))) != 0;
}

std::string without_foreign_parameters(std::string_view url) {
  const std::size_t mark = url.find('?');
  if (mark == url.npos) return std::string(url);
  std::vector<std::string> parameters = split(url.substr(mark + 1), '&');
  std::erase_if(parameters, is_foreign);
  const std::string_view separator = parameters.empty() ? "" : "?";
  return fmt::format("{}{}{}", url.substr(0, mark), separator, fmt::join(parameters, "&"));
}

}  // namespace

std::string parse_postgres_address(std::string_view address) {
  const std::size_t scheme_end = address.find("://");
  if (scheme_end == address.npos && address.find('=') != address.npos) return std::string(address);
  const std::string_view scheme = address.substr(0, std::min(scheme_end, address.find('+')));
  if (scheme_end == address.npos || (scheme != "postgres" && scheme != "postgresql"))
    throw ConfigError("it must be postgres://user:password@host:port/database or \"host=... dbname=...\"");
  return "postgresql" + without_foreign_parameters(address.substr(scheme_end));
}

}  // namespace larder::config
