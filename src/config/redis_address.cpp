#include "config/redis_address.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "config/codec.h"
#include "config/settings.h"

namespace larder::config {
namespace {

constexpr unsigned kMaxDb = 1'000'000;
constexpr std::string_view kForms =
    "it must be redis://[user:password@]host[:port][/db], redis-cluster://[user:password@]host[:port],…, "
    "redis-sentinel://[user:password@]host[:port],…/master-name[/db] (all with TLS: rediss…) or "
    "unix://[user:password@]/path[?db=N]";
constexpr std::string_view kPlain = "redis://", kTls = "rediss://";
constexpr std::string_view kCluster = "redis-cluster://", kTlsCluster = "rediss-cluster://";
constexpr std::string_view kSentinel = "redis-sentinel://", kTlsSentinel = "rediss-sentinel://";
constexpr std::uint16_t kSentinelPort = 26379;

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
  if (text.find(',') != text.npos)
    throw ConfigError(
        "it names several hosts: redis-cluster://host,host and redis-sentinel://host,host/master-name may");
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

/// Takes the login off `authority`, which is left with the hosts.
void take_user_info(std::string_view& authority, RedisAddress& out) {
  if (const std::size_t at = authority.rfind('@'); at != authority.npos)
    parse_user_info(take_until(authority, at), out);
}

/// `host[:port][,host[:port]…]`, at least one.
std::vector<RedisSeed> parse_hosts(std::string_view text, std::uint16_t default_port) {
  std::vector<RedisSeed> hosts;
  do {
    RedisAddress node{.host = {}, .port = default_port, .path = {}, .user = {}, .password = {}};
    parse_host_and_port(take_until(text, text.find(',')), node);
    hosts.push_back({std::move(node.host), node.port});
  } while (!text.empty());
  return hosts;
}

void parse_parameters(std::string_view query, RedisAddress& out) {
  for (const std::string& parameter : split(query, '&')) {
    const std::string_view text = parameter;
    if (!text.starts_with("db="))
      throw ConfigError(fmt::format("the only parameter known is db, as in ?db=1"));
    out.db = parse_db(text.substr(3));
  }
}

RedisTarget parse_cluster(std::string_view path) {
  RedisTarget target;
  target.is_cluster = true;
  std::string_view authority = path.substr(0, path.find('/'));
  path.remove_prefix(authority.size());
  if (path.size() > 1 && path != "/0")
    throw ConfigError("a cluster has no databases but 0: nothing may follow the nodes");
  take_user_info(authority, target.address);
  target.more_seeds = parse_hosts(authority, target.address.port);
  target.address.host = std::move(target.more_seeds.front().host);
  target.address.port = target.more_seeds.front().port;
  target.more_seeds.erase(target.more_seeds.begin());
  return target;
}

RedisTarget parse_sentinels(std::string_view query) {
  RedisTarget target;
  std::string_view path = take_until(query, query.find('?'));
  parse_parameters(query, target.address);
  std::string_view authority = take_until(path, path.find('/'));
  take_user_info(authority, target.address);
  target.sentinels = parse_hosts(authority, kSentinelPort);
  target.master_name = percent_decode(take_until(path, path.find('/')));
  if (target.master_name.empty())
    throw ConfigError(
        "the name that the Sentinels have for the master is missing: it follows them, as in "
        "redis-sentinel://host:26379/mymaster");
  if (!path.empty()) target.address.db = parse_db(path);
  return target;
}

}  // namespace

RedisAddress parse_redis_url(std::string_view url) {
  RedisAddress address;
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == url.npos) throw ConfigError(fmt::format("there is no \"://\" in it; {}", kForms));
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme != "redis" && scheme != "rediss" && scheme != "unix")
    throw ConfigError(fmt::format("{}:// is not known; {}", scheme, kForms));
  address.tls = scheme == "rediss";

  std::string_view query = url.substr(scheme_end + 3);
  std::string_view path = take_until(query, query.find('?'));
  parse_parameters(query, address);

  std::string_view authority = path.substr(0, path.find('/'));
  path.remove_prefix(authority.size());
  take_user_info(authority, address);

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

RedisTarget parse_redis_target(std::string_view url) {
  const bool tls = url.starts_with("rediss");
  const bool is_cluster = url.starts_with(tls ? kTlsCluster : kCluster);
  if (!is_cluster && !url.starts_with(tls ? kTlsSentinel : kSentinel))
    return {.address = parse_redis_url(url), .more_seeds = {}, .sentinels = {}, .master_name = {}};
  const std::string_view rest = url.substr(url.find("://") + 3);
  RedisTarget target = is_cluster ? parse_cluster(rest) : parse_sentinels(rest);
  target.address.tls = tls;
  return target;
}

std::string cluster_url(std::string_view nodes, std::string_view login_url) {
  std::string joined;
  bool names_scheme = false, tls = false;
  for (const std::string& part : split(nodes, ',')) {
    std::string_view node = part;
    node.remove_prefix(std::min(node.find_first_not_of(' '), node.size()));
    node.remove_suffix(node.size() - (node.find_last_not_of(' ') + 1));
    for (const std::string_view scheme : {kPlain, kTls}) {
      if (!node.starts_with(scheme)) continue;
      node.remove_prefix(scheme.size());
      names_scheme = true;
      tls = tls || scheme == kTls;
    }
    if (!joined.empty()) joined += ',';
    joined += node;
  }
  const std::size_t start = login_url.find("://"), at = login_url.rfind('@');
  const bool lends = joined.find('@') == joined.npos && start != login_url.npos && at != login_url.npos;
  const std::string_view login = lends ? login_url.substr(start + 3, at - start - 2) : std::string_view();
  if (!names_scheme) tls = login_url.starts_with("rediss");
  return fmt::format("{}{}{}", tls ? kTlsCluster : kCluster, login, joined);
}

bool has_ports(std::string_view nodes) {
  return std::ranges::all_of(split(nodes, ','), [](std::string_view node) {
    if (const std::size_t scheme = node.find("://"); scheme != node.npos) node.remove_prefix(scheme + 3);
    node.remove_prefix(node.rfind('@') + 1);  // npos + 1 is 0
    const std::size_t colon = node.rfind(':'), bracket = node.rfind(']');
    return colon != node.npos && (bracket == node.npos || bracket < colon);
  });
}

}  // namespace larder::config
