#include "backend/redis/known_commands.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "backend/block.h"
#include "backend/redis/hash_slot.h"
#include "command/error_reply.h"
#include "command/tags.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

/// What Redis' flags do not say, by name; sorted.
struct Exception {
  std::string_view name;
  enum Kind : std::uint8_t {
    blocks,            ///< see Private
    watches,           ///< the same
    subscribes,        ///< the same
    not_for_clients,   ///< the same
    changes_anything,  ///< whatever its flags say
    changes_nothing,   ///< the same
    tells,             ///< its reply names the keys that it has changed
    writes_its_row,    ///< movable keys, but the one it writes stands in its row
    scalar,            ///< its reply differs between RESP2 and RESP3 in nulls (`_`, `$-1`) only
  } kind;
};

constexpr auto kExceptions = std::to_array<Exception>({
    {"asking", Exception::not_for_clients},
    {"bitcount", Exception::scalar},
    {"bitop", Exception::scalar},
    {"bitpos", Exception::scalar},
    {"blmove", Exception::blocks},
    {"blmpop", Exception::blocks},
    {"blpop", Exception::blocks},
    {"brpop", Exception::blocks},
    {"brpoplpush", Exception::blocks},
    {"bzmpop", Exception::blocks},
    {"bzpopmax", Exception::blocks},
    {"bzpopmin", Exception::blocks},
    {"debug", Exception::changes_anything},
    {"discard", Exception::not_for_clients},
    {"eval", Exception::changes_anything},
    {"evalsha", Exception::changes_anything},
    {"exec", Exception::watches},
    {"fcall", Exception::changes_anything},
    {"getbit", Exception::scalar},
    {"hdel", Exception::scalar},
    {"hexists", Exception::scalar},
    {"hget", Exception::scalar},
    {"hincrby", Exception::scalar},
    {"hincrbyfloat", Exception::scalar},
    {"hkeys", Exception::scalar},
    {"hlen", Exception::scalar},
    {"hmget", Exception::scalar},
    {"hmset", Exception::scalar},
    {"hset", Exception::scalar},
    {"hsetnx", Exception::scalar},
    {"hstrlen", Exception::scalar},
    {"hvals", Exception::scalar},
    {"lindex", Exception::scalar},
    {"linsert", Exception::scalar},
    {"llen", Exception::scalar},
    {"lpush", Exception::scalar},
    {"lpushx", Exception::scalar},
    {"lrange", Exception::scalar},
    {"lrem", Exception::scalar},
    {"lset", Exception::scalar},
    {"ltrim", Exception::scalar},
    {"memory|doctor", Exception::changes_nothing},
    {"memory|malloc-stats", Exception::changes_nothing},
    {"memory|purge", Exception::changes_nothing},
    {"memory|stats", Exception::changes_nothing},
    {"monitor", Exception::not_for_clients},
    {"multi", Exception::not_for_clients},
    {"pfadd", Exception::scalar},
    {"pfcount", Exception::scalar},
    {"pfmerge", Exception::scalar},
    {"psubscribe", Exception::subscribes},
    {"psync", Exception::not_for_clients},
    {"publish", Exception::scalar},
    {"punsubscribe", Exception::subscribes},
    {"replconf", Exception::not_for_clients},
    {"replicaof", Exception::changes_anything},
    {"rpush", Exception::scalar},
    {"rpushx", Exception::scalar},
    {"sadd", Exception::scalar},
    {"scard", Exception::scalar},
    {"setbit", Exception::scalar},
    {"sismember", Exception::scalar},
    {"slaveof", Exception::changes_anything},
    {"smismember", Exception::scalar},
    {"smove", Exception::scalar},
    {"srem", Exception::scalar},
    {"ssubscribe", Exception::subscribes},
    {"subscribe", Exception::subscribes},
    {"sunsubscribe", Exception::subscribes},
    {"sync", Exception::not_for_clients},
    {"taginvalidate", Exception::tells},
    {"unsubscribe", Exception::subscribes},
    {"unwatch", Exception::watches},
    {"wait", Exception::blocks},
    {"waitaof", Exception::blocks},
    {"watch", Exception::watches},
    {"xack", Exception::scalar},
    {"xadd", Exception::scalar},
    {"xdel", Exception::scalar},
    {"xlen", Exception::scalar},
    {"xtrim", Exception::scalar},
    {"zcard", Exception::scalar},
    {"zcount", Exception::scalar},
    {"zdiffstore", Exception::writes_its_row},
    {"zinterstore", Exception::writes_its_row},
    {"zlexcount", Exception::scalar},
    {"zrank", Exception::scalar},
    {"zrem", Exception::scalar},
    {"zremrangebylex", Exception::scalar},
    {"zremrangebyrank", Exception::scalar},
    {"zremrangebyscore", Exception::scalar},
    {"zrevrank", Exception::scalar},
    {"zunionstore", Exception::writes_its_row},
});
static_assert(std::is_sorted(kExceptions.begin(), kExceptions.end(),
                             [](const Exception& a, const Exception& b) { return a.name < b.name; }));

bool is(std::string_view name, Exception::Kind kind) noexcept {
  const auto found = std::lower_bound(kExceptions.begin(), kExceptions.end(), name,
                                      [](const Exception& e, std::string_view n) { return e.name < n; });
  return found != kExceptions.end() && found->name == name && found->kind == kind;
}

/// Flags as COMMAND prints them, as far as they matter here.
struct Facts {
  bool write = false, readonly = false, movable_keys = false, harmless = false, blocking = false;

  void add(ByteView flag) noexcept {
    write |= flag == "write";
    readonly |= flag == "readonly";
    movable_keys |= flag == "movablekeys";
    blocking |= flag == "blocking";
    harmless |= flag == "admin" || flag == "pubsub" || flag == "loading" || flag == "stale";
  }
};

Effect effect_of(std::string_view name, const Facts& facts, const KeyRange& keys) noexcept {
  if (is(name, Exception::changes_anything)) return Effect::all;
  if (is(name, Exception::changes_nothing)) return Effect::none;
  if (is(name, Exception::tells)) return Effect::told;
  if (facts.readonly) return Effect::none;
  if (!facts.write) return facts.harmless && !facts.movable_keys ? Effect::none : Effect::all;
  if (facts.movable_keys && !is(name, Exception::writes_its_row)) return Effect::all;
  return keys.first > 0 ? Effect::keys : Effect::all;
}

/// Whether a queued command may become a script's call, or its reply is not shown as it comes.
bool is_changed_in_block(const Request& queued, TagRole role) noexcept {
  switch (role) {
    case TagRole::none:
    case TagRole::writes:
    case TagRole::ends:
      return false;
    case TagRole::sets:
      return is_about_tags(*queued.spec, queued.argv);
    default:
      return true;
  }
}

/// XREAD and XREADGROUP wait only if told to.
bool may_block(ByteView name) noexcept {
  return equals_ignore_case(name, "xread") || equals_ignore_case(name, "xreadgroup");
}

/// EVAL, EVALSHA, FCALL and their read-only forms.
bool runs_script(std::string_view name) noexcept {
  return name.starts_with("eval") || name.starts_with("fcall");
}

Private need_of(std::string_view name, const Facts& facts) noexcept {
  if (name == "script|kill" || name == "function|kill") return Private::kills;
  if (is(name, Exception::watches)) return Private::watches;
  if (is(name, Exception::subscribes)) return Private::subscribes;
  if (is(name, Exception::not_for_clients)) return Private::not_for_clients;
  if (may_block(name)) return Private::may_block;
  return is(name, Exception::blocks) || facts.blocking ? Private::blocks : Private::no;
}

constexpr auto kTagRoles = std::to_array<std::pair<std::string_view, TagRole>>({
    {"cluster|countkeysinslot", TagRole::in_slot},
    {"cluster|getkeysinslot", TagRole::in_slot},
    {"copy", TagRole::carries},
    {"dbsize", TagRole::sizes},
    {"del", TagRole::ends},
    {"getdel", TagRole::ends},
    {"keys", TagRole::shows},
    {"move", TagRole::moves},
    {"randomkey", TagRole::picks},
    {"rename", TagRole::carries},
    {"renamenx", TagRole::carries},
    {"scan", TagRole::shows},
    {"set", TagRole::sets},
    {"tagadd", TagRole::adds},
    {"tagcount", TagRole::sweeps},
    {"taginvalidate", TagRole::sweeps},
    {"tagkeys", TagRole::walks},
    {"taglist", TagRole::lists},
    {"tagrem", TagRole::removes},
    {"unlink", TagRole::ends},
});

TagRole tag_role_of(std::string_view name, Effect effect) noexcept {
  for (const auto& [known, role] : kTagRoles)
    if (known == name) return role;
  return effect == Effect::keys ? TagRole::writes : TagRole::none;
}

Route route_of(std::string_view name, const Facts& facts, const KeyRange& keys) noexcept {
  const Effect effect = effect_of(name, facts, keys);
  return {.effect = effect,
          .readonly = facts.readonly && !is(name, Exception::changes_anything),
          .scalar_reply = is(name, Exception::scalar) || is(name, Exception::writes_its_row),
          .needs = need_of(name, facts),
          .runs_script = runs_script(name),
          .keys = keys,
          .read = find_cached_read(name),
          .key_rule = find_key_rule(name),
          .spread = find_spread(name),
          .tags = tag_role_of(name, effect)};
}

Route route_of(const CommandSpec& spec) noexcept {
  Facts facts;
  facts.write = spec.flags.has(Flag::write);
  facts.readonly = spec.flags.has(Flag::readonly);
  facts.movable_keys = spec.flags.has(Flag::movablekeys);
  facts.harmless = spec.flags.has(Flag::admin) || spec.flags.has(Flag::pubsub) ||
                   spec.flags.has(Flag::loading) || spec.flags.has(Flag::stale);
  Route route = route_of(spec.name, facts, spec.keys);
  route.scalar_reply |= spec.flags.has(Flag::scalar_reply);
  return route;
}

/// The Lua debugger speaks a protocol of its own from then on, and what its scripts write is undone.
bool starts_debugger(std::span<const ByteView> argv) noexcept {
  return argv.size() == 3 && equals_ignore_case(argv[0], "script") && equals_ignore_case(argv[1], "debug") &&
         !equals_ignore_case(argv[2], "no");
}

}  // namespace

KnownCommands::KnownCommands() {
  for (const CommandSpec& spec : all_commands()) table_.push_back(route_of(spec));
}

void KnownCommands::learn(ByteView command_reply) {
  learned_.clear();
  ReplyCursor cursor(command_reply);
  for (std::int64_t left = cursor.next().count; left > 0; --left) learn_one(cursor);
}

/// One entry: name, arity, flags, first key, last key, step, and from Redis 7 on ACL categories, tips, key
/// specifications, subcommands (entries again).
void KnownCommands::learn_one(ReplyCursor& cursor) {
  std::int64_t fields = cursor.next().count;
  if (fields < 6) return cursor.skip(fields);
  const std::string name = lower_case(cursor.next().text);
  const int arity = static_cast<int>(cursor.next().integer());
  Facts facts;
  for (std::int64_t left = cursor.next().count; left > 0; --left) facts.add(cursor.next().text);
  KeyRange keys;
  keys.first = static_cast<int>(cursor.next().integer());
  keys.last = static_cast<int>(cursor.next().integer());
  keys.step = static_cast<int>(cursor.next().integer());
  fields -= 6;
  const bool lists_subcommands = fields >= 4;
  cursor.skip(lists_subcommands ? 3 : fields);
  std::int64_t subcommands = 0;
  if (lists_subcommands) {
    subcommands = cursor.next().count;
    for (std::int64_t left = subcommands; left > 0; --left) learn_one(cursor);
    cursor.skip(fields - 4);
  }
  Route route = route_of(name, facts, keys);
  route.arity = arity;
  learned_.insert_or_assign(name, Learned{route, subcommands > 0});
}

Route KnownCommands::route(const Request& request) const {
  if (request.spec == exec_) return route_block(request);
  if (request.spec != nullptr) return table_[static_cast<std::size_t>(request.spec - all_commands().data())];
  const std::string name = lower_case(request.argv[0]);
  if (const Route* learned = find_learned(name, request.argv)) return *learned;
  Route route;
  route.needs = need_of(name, {});
  route.runs_script = runs_script(name);
  route.read = find_cached_read(name);
  if (route.read != nullptr) {
    route.effect = Effect::none;
    route.readonly = true;
  }
  route.key_rule = find_key_rule(name);
  route.spread = find_spread(name);
  // Nothing was learned: most commands have one key, their first word, and a cluster says when that is wrong.
  if (learned_.empty()) route.keys = {1, 1, 1};
  return route;
}

bool KnownCommands::bars(const Request& request, const Route& route) {
  const bool debugs = request.spec == nullptr && starts_debugger(request.argv);
  if (!debugs && route.needs != Private::not_for_clients) return false;
  request.reply.error(fmt::format("ERR '{}{}' is not available through Larder",
                                  request.argv[0].substr(0, 128), debugs ? " DEBUG" : ""));
  return true;
}

bool KnownCommands::refuses(const Request& request) const {
  if (learned_.empty() || request.spec != nullptr || find_command(request.argv[0]) != nullptr) return false;
  const auto found = learned_.find(lower_case(request.argv[0]));
  if (found == learned_.end()) {
    append_unknown_command(request.reply, request.argv);
    return true;
  }
  const bool names_subcommand = found->second.is_container && request.argv.size() > 1;
  const auto meant = names_subcommand ? find_subcommand(found->first, request.argv[1]) : found;
  if (meant == learned_.end()) {
    append_unknown_subcommand(request.reply, found->first, request.argv[1]);
    return true;
  }
  if (meant->second.route.takes(request.argv.size())) return false;
  append_wrong_arity(request.reply, meant->first);
  return true;
}

/// What is true of any of the queued commands is true of EXEC.
Route KnownCommands::route_block(const Request& exec) const {
  Route block = table_[static_cast<std::size_t>(exec.spec - all_commands().data())];
  block.effect = Effect::none;
  for_each_queued(exec, [&](const Request& queued) {
    ++block.queued;
    const Route one = route(queued);
    block.effect = std::max(block.effect, one.effect);
    if (is_changed_in_block(queued, one.tags)) block.tags = TagRole::block;
    block.tells |= one.effect == Effect::told;
    block.has_all_of_tag |= concerns_all_of_tag(one.tags);
    block.selects |= queued.spec != nullptr && queued.spec->name == "select";
  });
  std::vector<ByteView> keys;
  append_keys(exec, block, keys);
  if (!keys.empty()) block.first_key = keys.front();
  block.spans_slots =
      std::ranges::any_of(keys, [&keys](ByteView key) { return hash_slot(key) != hash_slot(keys.front()); });
  std::ranges::sort(keys);
  block.repeats_keys = std::ranges::adjacent_find(keys) != keys.end();
  // Which database a key is in is then Redis' to know.
  if (block.selects && block.effect == Effect::keys) block.effect = Effect::all;
  return block;
}

auto KnownCommands::find_subcommand(const std::string& container, ByteView name) const
    -> LearnedByName::const_iterator {
  constexpr std::size_t kLongestName = 64;
  return learned_.find(container + '|' + lower_case(name.substr(0, kLongestName)));
}

const Route* KnownCommands::find_learned(const std::string& name, std::span<const ByteView> argv) const {
  const auto found = learned_.find(name);
  if (found == learned_.end()) return nullptr;
  if (found->second.is_container && argv.size() > 1) {
    const auto sub = find_subcommand(name, argv[1]);
    if (sub != learned_.end()) return &sub->second.route;
  }
  return &found->second.route;
}

bool asks_to_block(const Request& request) {
  for (std::size_t i = 1; i < request.argv.size(); ++i) {
    const ByteView word = request.argv[i];
    if (equals_ignore_case(word, "streams")) return false;
    if (equals_ignore_case(word, "block")) return true;
    if (equals_ignore_case(word, "group")) i += 2;  // whose names may be those words
  }
  return false;
}

void KnownCommands::append_keys(const Request& request, const Route& route,
                                std::vector<ByteView>& keys) const {
  if (route.key_rule == KeyRule::block)
    return for_each_queued(request,
                           [&](const Request& queued) { append_keys(queued, this->route(queued), keys); });
  positions_.clear();
  append_key_positions(route.key_rule, route.keys, request.argv, positions_);
  for (const std::uint32_t position : positions_) keys.push_back(request.argv[position]);
}

void KnownCommands::append_written_keys(const Request& request, const Route& route,
                                        std::vector<KeyRef>& keys) const {
  if (route.key_rule == KeyRule::block)
    return for_each_queued(request, [&](const Request& queued) {
      const Route one = this->route(queued);
      if (one.effect == Effect::keys) append_written_keys(queued, one, keys);
    });
  const int count = static_cast<int>(request.argv.size());
  if (request.spec != nullptr)
    return collect_keys(*request.spec, Call{request.argv, request.caller.db(), request.now_ms, request.reply},
                        keys);
  const int last = route.keys.last < 0 ? count + route.keys.last : std::min(route.keys.last, count - 1);
  const int step = std::max(route.keys.step, 1);
  for (int i = route.keys.first; i <= last; i += step)
    keys.emplace_back(request.caller.db(), request.argv[static_cast<std::size_t>(i)]);
}

}  // namespace larder::redis
