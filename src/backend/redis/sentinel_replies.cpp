#include "backend/redis/sentinel_replies.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "resp/reply_cursor.h"

namespace larder::redis {

std::optional<Endpoint> parse_master_address(ByteView reply) {
  ReplyCursor cursor(reply);
  if (cursor.next().count != 2) return std::nullopt;
  const ByteView host = cursor.next().text, port_text = cursor.next().text;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  const bool is_number = error == std::errc{} && end == port_text.data() + port_text.size();
  if (host.empty() || !is_number || port == 0) return std::nullopt;
  return Endpoint{std::string(host), port};
}

std::uint64_t parse_config_epoch(ByteView reply) {
  ReplyCursor cursor(reply);
  for (std::int64_t left = cursor.next().count; left > 1; left -= 2) {
    if (cursor.next().text == "config-epoch") return static_cast<std::uint64_t>(cursor.next().integer());
    cursor.skip();
  }
  return 0;
}

std::vector<Endpoint> parse_replicas(ByteView reply) {
  std::vector<Endpoint> replicas;
  ReplyCursor cursor(reply);
  for (std::int64_t left = cursor.next().count; left > 0; --left) {
    Endpoint replica;
    bool works = false, has_master = false;
    for (std::int64_t words = cursor.next().count; words > 1; words -= 2) {
      const ByteView name = cursor.next().text;
      const ReplyCursor::Value value = cursor.next();
      if (name == "ip") replica.host = value.text;
      if (name == "port") replica.port = static_cast<std::uint16_t>(value.integer());
      if (name == "flags") works = value.text == "slave";
      if (name == "master-link-status") has_master = value.text == "ok";
    }
    if (works && has_master && !replica.host.empty() && replica.port != 0) replicas.push_back(replica);
  }
  std::ranges::sort(replicas, {}, [](const Endpoint& one) { return std::tie(one.host, one.port); });
  return replicas;
}

bool is_message(ByteView push) {
  ReplyCursor cursor(push);
  cursor.skip_header();
  return cursor.next().text == "message";
}

}  // namespace larder::redis
