#include "server/client_filter.h"

#include <algorithm>

#include <fmt/format.h>

#include "command/error_reply.h"
#include "server/session.h"
#include "value/number.h"

namespace larder {
namespace {

struct KindName {
  ByteView name;
  ClientFilter::Kind kind;
};

constexpr KindName kKinds[] = {
    {"normal", ClientFilter::Kind::normal},   {"slave", ClientFilter::Kind::replica},
    {"replica", ClientFilter::Kind::replica}, {"master", ClientFilter::Kind::master},
    {"pubsub", ClientFilter::Kind::pubsub},
};

ParsedFilter failure(ByteView text) {
  return {.error = std::string(text)};
}

/// Empty when the kind is known.
std::string set_kind(ClientFilter& filter, ByteView name) {
  for (const KindName& known : kKinds) {
    if (!equals_ignore_case(name, known.name)) continue;
    filter.kind = known.kind;
    return {};
  }
  return fmt::format("ERR Unknown client type '{}'", name);
}

std::string set_id(ClientFilter& filter, ByteView text) {
  const auto id = parse_integer(text);
  if (!id || *id <= 0) return "ERR client-id should be greater than 0";
  filter.ids = {*id};
  return {};
}

std::string set_user(ClientFilter& filter, ByteView name) {
  filter.user = name;
  return {};
}

std::string set_skip_me(ClientFilter& filter, ByteView word) {
  if (!equals_ignore_case(word, "yes") && !equals_ignore_case(word, "no"))
    return std::string(error_text(Errc::syntax));
  filter.skips_me = equals_ignore_case(word, "yes");
  return {};
}

std::string set_address(ClientFilter& filter, ByteView address) {
  filter.address = address;
  return {};
}

std::string set_local_address(ClientFilter& filter, ByteView address) {
  filter.local_address = address;
  return {};
}

struct KillOption {
  ByteView name;
  std::string (*set)(ClientFilter&, ByteView value);
};

constexpr KillOption kKillOptions[] = {
    {"id", set_id},     {"type", set_kind},      {"addr", set_address}, {"laddr", set_local_address},
    {"user", set_user}, {"skipme", set_skip_me},
};

}  // namespace

bool ClientFilter::matches(const Session& session) const {
  const ClientIdentity& identity = session.identity();
  if (kind && *kind != (session.holds.subscribed.any() ? Kind::pubsub : Kind::normal)) return false;
  if (!ids.empty() && std::ranges::find(ids, static_cast<std::int64_t>(identity.id)) == ids.end())
    return false;
  if (address && *address != identity.address) return false;
  if (local_address && *local_address != identity.local_address) return false;
  return !user || *user == session.user();
}

ParsedFilter parse_list_filter(std::span<const ByteView> words) {
  ParsedFilter parsed;
  if (words.empty()) return parsed;
  if (equals_ignore_case(words[0], "type") && words.size() == 2) {
    parsed.error = set_kind(parsed.filter, words[1]);
  } else if (equals_ignore_case(words[0], "id") && words.size() > 1) {
    for (const ByteView word : words.subspan(1)) {
      const auto id = parse_integer(word);
      if (!id) return failure("ERR Invalid client ID");
      parsed.filter.ids.push_back(*id);
    }
  } else {
    return failure(error_text(Errc::syntax));
  }
  return parsed;
}

ParsedFilter parse_kill_filter(std::span<const ByteView> words) {
  ParsedFilter parsed;
  for (; !words.empty(); words = words.subspan(2)) {
    const auto is_named = [&](const KillOption& option) { return equals_ignore_case(words[0], option.name); };
    const auto* option = std::ranges::find_if(kKillOptions, is_named);
    if (option == std::end(kKillOptions) || words.size() < 2) return failure(error_text(Errc::syntax));
    parsed.error = option->set(parsed.filter, words[1]);
    if (!parsed.error.empty()) return parsed;
  }
  return parsed;
}

}  // namespace larder
