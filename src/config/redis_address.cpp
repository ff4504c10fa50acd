#include "config/redis_address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "config/codec.h"
#include "config/settings.h"

namespace larder::config {
namespace {

constexpr unsigned kMaxDb = 1'000'000;
constexpr std::string_view kForms =
    "it must be redis://[user:password@]host[:port][/db] or unix://[user:password@]/path[?db=N]";
constexpr std::string_view kOneNode =
    "this build speaks to one Redis node, over TCP or a Unix socket without TLS; Cluster, Sentinel and TLS "
    "come later";
constexpr std::array<std::string_view, 4> kLaterSchemes{"rediss", "redis-cluster", "rediss-cluster",
                                                        "redis-sentinel"};

// The text before `separator`, which is taken off `rest` together with it; all of it when there is none.
std::string_view take_until(std::string_view& rest, std::size_t separator) {
  const std::string_view taken = rest.substr(0, separator);
  rest.remove_prefix(std::min(separator == rest.npos ? rest.size() : separator + 1, rest.size()));
  return taken;
}

std::optional<char> parse_hex_byte(std::string_view digits) {
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(byte);
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto byte = parse_hex_byte(text.substr(i + 1, 2));
    if (!byte) throw ConfigError("a '%' is not followed by two hexadecimal digits; write %25 for '%' itself");
    decoded += *byte;
    i += 2;
  }
  return decoded;
}

unsigned parse_db(std::string_view text) {
  const auto db = parse_number(text);
  if (!db || *db > kMaxDb) throw ConfigError("the database is not a number");
  return static_cast<unsigned>(*db);
}

std::uint16_t parse_port(std::string_view text) {
  const auto port = parse_number(text);
  if (!port || *port < 1 || *port > 65535) throw ConfigError("the port is not a number from 1 to 65535");
  return static_cast<std::uint16_t>(*port);
}

void parse_user_info(std::string_view info, RedisAddress& out) {
  const std::size_t colon = info.find(':');
  if (colon != info.npos) out.user = percent_decode(take_until(info, colon));
  out.password = percent_decode(info);
}

void parse_host_and_port(std::string_view text, RedisAddress& out) {
  std::string_view host;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == text.npos) throw ConfigError("the '[' of an IPv6 address is not closed");
    host = text.substr(1, bracket - 1);
    text.remove_prefix(bracket + 1);
    if (!text.empty() && text.front() != ':')
      throw ConfigError("what follows the IPv6 address is not a port");
  } else {
    if (std::ranges::count(text, ':') > 1) throw ConfigError("an IPv6 address must be in brackets");
    host = text.substr(0, text.find(':'));
    text.remove_prefix(host.size());
  }
  if (host.empty()) throw ConfigError("the host is missing");
  out.host = percent_decode(host);
  if (!text.empty()) out.port = parse_port(text.substr(1));
}

void parse_parameters(std::string_view query, RedisAddress& out) {
  for (const std::string& parameter : split(query, '&')) {
    const std::string_view text = parameter;
    if (!text.starts_with("db="))
      throw ConfigError(fmt::format("the only parameter known is db, as in ?db=1"));
    out.db = parse_db(text.substr(3));
  }
}

void refuse_scheme(std::string_view scheme) {
  if (std::ranges::count(kLaterSchemes, scheme) != 0)
    throw ConfigError(fmt::format("{}:// is not possible yet: {}", scheme, kOneNode));
  throw ConfigError(fmt::format("{}:// is not known; {}", scheme, kForms));
}

}  // namespace

RedisAddress parse_redis_url(std::string_view url) {
  RedisAddress address;
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == url.npos) throw ConfigError(fmt::format("there is no \"://\" in it; {}", kForms));
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme != "redis" && scheme != "unix") refuse_scheme(scheme);

  std::string_view query = url.substr(scheme_end + 3);
  std::string_view path = take_until(query, query.find('?'));
  parse_parameters(query, address);

  std::string_view authority = path.substr(0, path.find('/'));
  path.remove_prefix(authority.size());
  if (const std::size_t at = authority.rfind('@'); at != authority.npos)
    parse_user_info(take_until(authority, at), address);

  if (scheme == "unix") {
    if (!authority.empty() || path.empty())
      throw ConfigError("the path of a Unix socket must start with '/'");
    address.path = percent_decode(path);
    return address;
  }
  parse_host_and_port(authority, address);
  if (path.size() > 1) address.db = parse_db(path.substr(1));
  return address;
}

}  // namespace larder::config
