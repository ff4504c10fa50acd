#include "command/command_info.h"

#include <algorithm>
#include <span>

#include "command/docs.h"

namespace larder {
namespace {

struct FlagName {
  Flag flag;
  ByteView name;
};

// In Redis' order.
constexpr FlagName kFlagNames[] = {
    {Flag::write, "write"},
    {Flag::readonly, "readonly"},
    {Flag::denyoom, "denyoom"},
    {Flag::admin, "admin"},
    {Flag::pubsub, "pubsub"},
    {Flag::noscript, "noscript"},
    {Flag::blocking, "blocking"},
    {Flag::loading, "loading"},
    {Flag::stale, "stale"},
    {Flag::skip_monitor, "skip_monitor"},
    {Flag::skip_slowlog, "skip_slowlog"},
    {Flag::fast, "fast"},
    {Flag::no_auth, "no_auth"},
    {Flag::no_multi, "no_multi"},
    {Flag::movablekeys, "movablekeys"},
    {Flag::allow_busy, "allow_busy"},
};

std::vector<ByteView> flag_names(const CommandSpec& spec) {
  std::vector<ByteView> names;
  for (const FlagName& known : kFlagNames)
    if (spec.flags.has(known.flag)) names.push_back(known.name);
  return names;
}

bool is_one_of(ByteView name, std::span<const ByteView> names) noexcept {
  return std::ranges::find(names, name) != names.end();
}

// Where the group of the documentation does not say the category.
constexpr ByteView kAboutKeyspace[] = {"dbsize", "flushall", "flushdb", "swapdb"};
constexpr ByteView kDangerous[] = {"flushall", "flushdb", "info", "keys", "swapdb", "taginvalidate"};

/// `@keyspace` and the like; none for a container that cannot be called by itself.
ByteView subject_category(const CommandSpec& spec) noexcept {
  const bool is_mere_container = spec.flags.has(Flag::container) && spec.arity == -2;
  if (is_mere_container || spec.name.starts_with("memory|") || spec.name == "pubsub|help") return {};
  const ByteView group = doc_of(spec.name).group;
  if (group == "generic" || is_one_of(spec.name, kAboutKeyspace)) return "@keyspace";
  if (group == "pubsub") return "@pubsub";
  if (group == "string") return "@string";
  if (group == "transactions") return "@transaction";
  const bool is_connection =
      group == "connection" || spec.name.starts_with("command") || spec.name.starts_with("read");
  return is_connection ? "@connection" : ByteView();
}

// Those that are not `RO access` or `RW access update`.
constexpr KeyAccess kKeyAccess[] = {
    {"append", "RW insert"},
    {"copy", "RO access", "OW update"},
    {"del", "RM delete"},
    {"exists", "RO"},
    {"expire", "RW update"},
    {"expireat", "RW update"},
    {"getdel", "RW access delete"},
    {"memory|usage", "RO"},
    {"mset", "OW update"},
    {"msetnx", "OW insert"},
    {"object|encoding", "RO"},
    {"object|freq", "RO"},
    {"object|idletime", "RO"},
    {"object|refcount", "RO"},
    {"persist", "RW update"},
    {"pexpire", "RW update"},
    {"pexpireat", "RW update"},
    {"psetex", "OW update"},
    {"rename", "RW access delete", "OW update"},
    {"renamenx", "RW access delete", "OW insert"},
    {"set", "RW access update variable_flags"},
    {"setex", "OW update"},
    {"setnx", "OW insert"},
    {"setrange", "RW update"},
    {"spublish", "not_key"},
    {"ssubscribe", "not_key"},
    {"strlen", "RO"},
    {"sunsubscribe", "not_key"},
    {"tagadd", "RW insert"},
    {"taglist", "RO"},
    {"tagrem", "RW delete"},
    {"touch", "RO"},
    {"type", "RO"},
    {"unlink", "RM delete"},
    {"watch", "RO"},
};

void append_key_spec(ReplyWriter& reply, ByteView access, int first, int last_offset, int step) {
  reply.begin_map(3);
  reply.bulk("flags");
  append_words(reply, split_words(access));
  reply.bulk("begin_search");
  reply.begin_map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.begin_map(1);
  reply.bulk("index");
  reply.integer(first);
  reply.bulk("find_keys");
  reply.begin_map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.begin_map(3);
  reply.bulk("lastkey");
  reply.integer(last_offset);
  reply.bulk("keystep");
  reply.integer(step);
  reply.bulk("limit");
  reply.integer(0);
}

void append_key_specs(ReplyWriter& reply, const CommandSpec& spec) {
  const auto [first, last, step] = spec.keys;
  const KeyAccess access = key_access(spec);
  if (step == 0) return reply.begin_set(0);
  if (access.second.empty()) {
    reply.begin_set(1);
    return append_key_spec(reply, access.first, first, last < 0 ? last : last - first, step);
  }
  reply.begin_set(2);
  append_key_spec(reply, access.first, first, 0, step);
  append_key_spec(reply, access.second, last, 0, step);
}

}  // namespace

void append_command_info(ReplyWriter& reply, const CommandSpec& spec) {
  reply.begin_array(10);
  reply.bulk(spec.name);
  reply.integer(spec.arity);
  append_words(reply, flag_names(spec));
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);
  append_words(reply, categories(spec));
  reply.begin_set(0);  // tips are for clients that spread commands over the nodes of a cluster
  append_key_specs(reply, spec);
  const std::vector<const CommandSpec*> subcommands = subcommands_of(spec);
  if (subcommands.empty()) return reply.begin_set(0);
  reply.begin_array(subcommands.size());
  for (const CommandSpec* const subcommand : subcommands) append_command_info(reply, *subcommand);
}

std::vector<const CommandSpec*> subcommands_of(const CommandSpec& container) {
  std::vector<const CommandSpec*> found;
  if (!container.flags.has(Flag::container)) return found;
  const CommandSpec* const end = all_commands().data() + all_commands().size();
  for (const CommandSpec* spec = &container + 1; spec != end && spec->name.starts_with(container.name);
       ++spec)
    found.push_back(spec);
  return found;
}

/// ACL categories in Redis' order.
std::vector<ByteView> categories(const CommandSpec& spec) {
  const ByteView subject = subject_category(spec);
  std::vector<ByteView> found;
  if (subject == "@keyspace") found.push_back(subject);
  if (spec.flags.has(Flag::readonly)) found.push_back("@read");
  if (spec.flags.has(Flag::write)) found.push_back("@write");
  if (subject == "@string") found.push_back(subject);
  if (spec.flags.has(Flag::admin)) found.push_back("@admin");
  found.push_back(spec.flags.has(Flag::fast) ? "@fast" : "@slow");
  if (spec.flags.has(Flag::admin) || is_one_of(spec.name, kDangerous)) found.push_back("@dangerous");
  if (subject == "@connection" || subject == "@transaction") found.push_back(subject);
  return found;
}

KeyAccess key_access(const CommandSpec& spec) noexcept {
  const KeyAccess* const known = std::ranges::find(kKeyAccess, spec.name, &KeyAccess::command);
  if (known != std::end(kKeyAccess)) return *known;
  return {spec.name, spec.flags.has(Flag::readonly) ? "RO access" : "RW access update"};
}

void append_words(ReplyWriter& reply, const std::vector<ByteView>& words) {
  reply.begin_set(words.size());
  for (const ByteView word : words) reply.simple(word);
}

std::vector<ByteView> split_words(ByteView text) {
  std::vector<ByteView> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace larder
