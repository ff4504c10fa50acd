#include "backend/redis/known_commands.h"

#include <algorithm>
#include <array>

#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

/// What Redis' flags do not say, by name; sorted.
struct Exception {
  std::string_view name;
  enum Kind : std::uint8_t {
    needs_private,     ///< its state or its waiting belongs to one connection
    changes_anything,  ///< whatever its flags say
    writes_its_row,    ///< movable keys, but the one it writes stands in its row
    scalar,            ///< its reply differs between RESP2 and RESP3 in nulls (`_`, `$-1`) only
  } kind;
};

constexpr auto kExceptions = std::to_array<Exception>({
    {"asking", Exception::needs_private},
    {"bitcount", Exception::scalar},
    {"bitop", Exception::scalar},
    {"bitpos", Exception::scalar},
    {"blmove", Exception::needs_private},
    {"blmpop", Exception::needs_private},
    {"blpop", Exception::needs_private},
    {"brpop", Exception::needs_private},
    {"brpoplpush", Exception::needs_private},
    {"bzmpop", Exception::needs_private},
    {"bzpopmax", Exception::needs_private},
    {"bzpopmin", Exception::needs_private},
    {"debug", Exception::changes_anything},
    {"discard", Exception::needs_private},
    {"eval", Exception::changes_anything},
    {"evalsha", Exception::changes_anything},
    {"exec", Exception::needs_private},
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
    {"monitor", Exception::needs_private},
    {"multi", Exception::needs_private},
    {"pfadd", Exception::scalar},
    {"pfcount", Exception::scalar},
    {"pfmerge", Exception::scalar},
    {"psubscribe", Exception::needs_private},
    {"psync", Exception::needs_private},
    {"publish", Exception::scalar},
    {"punsubscribe", Exception::needs_private},
    {"readonly", Exception::needs_private},
    {"readwrite", Exception::needs_private},
    {"replconf", Exception::needs_private},
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
    {"ssubscribe", Exception::needs_private},
    {"subscribe", Exception::needs_private},
    {"sunsubscribe", Exception::needs_private},
    {"sync", Exception::needs_private},
    {"unsubscribe", Exception::needs_private},
    {"unwatch", Exception::needs_private},
    {"wait", Exception::needs_private},
    {"waitaof", Exception::needs_private},
    {"watch", Exception::needs_private},
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
  bool write = false, readonly = false, movable_keys = false, harmless = false;

  void add(ByteView flag) noexcept {
    write |= flag == "write";
    readonly |= flag == "readonly";
    movable_keys |= flag == "movablekeys";
    harmless |= flag == "admin" || flag == "pubsub" || flag == "loading" || flag == "stale";
  }
};

Effect effect_of(std::string_view name, const Facts& facts, const KeyRange& keys) noexcept {
  if (is(name, Exception::changes_anything)) return Effect::all;
  if (facts.readonly) return Effect::none;
  if (!facts.write) return facts.harmless && !facts.movable_keys ? Effect::none : Effect::all;
  if (facts.movable_keys && !is(name, Exception::writes_its_row)) return Effect::all;
  return keys.first > 0 ? Effect::keys : Effect::all;
}

Route route_of(std::string_view name, const Facts& facts, const KeyRange& keys) noexcept {
  return {effect_of(name, facts, keys), is(name, Exception::scalar) || is(name, Exception::writes_its_row),
          is(name, Exception::needs_private), keys};
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
  route.private_upstream |= spec.flags.has(Flag::private_upstream) || spec.flags.has(Flag::blocking);
  return route;
}

std::string lower(ByteView name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
  return out;
}

/// XREAD and XREADGROUP wait only if told to.
bool asks_to_block(std::span<const ByteView> argv) noexcept {
  for (const ByteView word : argv) {
    if (equals_ignore_case(word, "streams")) return false;
    if (equals_ignore_case(word, "block")) return true;
  }
  return false;
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
  const std::string name = lower(cursor.next().text);
  cursor.skip();
  Facts facts;
  for (std::int64_t left = cursor.next().count; left > 0; --left) facts.add(cursor.next().text);
  KeyRange keys;
  keys.first = static_cast<int>(cursor.next().integer());
  keys.last = static_cast<int>(cursor.next().integer());
  keys.step = static_cast<int>(cursor.next().integer());
  fields -= 6;
  const bool has_subcommands = fields >= 4;
  cursor.skip(has_subcommands ? 3 : fields);
  if (has_subcommands) {
    for (std::int64_t left = cursor.next().count; left > 0; --left) learn_one(cursor);
    cursor.skip(fields - 4);
  }
  learned_.insert_or_assign(name, route_of(name, facts, keys));
}

Route KnownCommands::route(const Request& request) const {
  if (request.spec != nullptr) return table_[static_cast<std::size_t>(request.spec - all_commands().data())];
  const std::string name = lower(request.argv[0]);
  if (const Route* learned = find_learned(name, request.argv)) return *learned;
  Route route;
  route.private_upstream = is(name, Exception::needs_private);
  return route;
}

const Route* KnownCommands::find_learned(const std::string& name, std::span<const ByteView> argv) const {
  if (argv.size() > 1) {
    const auto sub = learned_.find(name + '|' + lower(argv[1].substr(0, 64)));
    if (sub != learned_.end()) return &sub->second;
  }
  const auto found = learned_.find(name);
  return found == learned_.end() ? nullptr : &found->second;
}

bool blocks(const Request& request) {
  const ByteView name = request.argv[0];
  const bool may_block = equals_ignore_case(name, "xread") || equals_ignore_case(name, "xreadgroup");
  return may_block && asks_to_block(request.argv);
}

void collect_written_keys(const Request& request, const Route& route, std::vector<KeyRef>& keys) {
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
