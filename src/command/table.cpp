#include <algorithm>
#include <array>

#include "command/handlers.h"
#include "command/spec.h"

namespace larder {
namespace {

using namespace commands;
using enum Flag;

// The sets of flags that commands share.
constexpr Flags kReads = readonly | scalar_reply;
constexpr Flags kReadsFast = kReads | fast;
constexpr Flags kWrites = write | scalar_reply;
constexpr Flags kWritesFast = kWrites | fast;
constexpr Flags kGrows = kWrites | denyoom;
constexpr Flags kGrowsFast = kGrows | fast;
constexpr Flags kAnytime = loading | stale;
constexpr Flags kAboutCommands = kAnytime | upstream_begins;
constexpr Flags kClient = kAnytime | noscript;
constexpr Flags kGreeting = kClient | fast | no_auth | allow_busy;
constexpr Flags kAdmin = kClient | admin;
constexpr Flags kPublishing = kAnytime | pubsub | upstream_answers;
constexpr Flags kSubscription = kClient | pubsub | runs_in_multi;
constexpr Flags kTransaction = kClient | fast | allow_busy;

constexpr KeyRange kNoKey = {};
constexpr KeyRange kKey = {1, 1, 1};
constexpr KeyRange kSecond = {2, 2, 1};
constexpr KeyRange kBoth = {1, 2, 1};
constexpr KeyRange kAll = {1, -1, 1};
constexpr KeyRange kPairs = {1, -1, 2};

constexpr CommandSpec data(ByteView name, int arity, Flags flags, KeyRange keys, Handler run,
                           KeyFinder find_keys = nullptr) {
  return {name, arity, flags, keys, Runner::data, run, find_keys};
}

constexpr CommandSpec whole(ByteView name, int arity, Flags flags) {
  return {name, arity, flags, kNoKey, Runner::keyspace};
}

constexpr CommandSpec server(ByteView name, int arity, Flags flags) {
  return {name, arity, flags, kNoKey, Runner::connection};
}

// Sorted by name.
constexpr CommandSpec kTable[] = {
    server("acl", -2, upstream_answers),
    data("append", 3, kGrowsFast, kKey, append),
    server("auth", -2, kGreeting),
    server("client", -2, container),
    server("client|caching", 3, kClient),
    server("client|getname", 2, kClient),
    server("client|getredir", 2, kClient),
    server("client|help", 2, kAnytime),
    server("client|id", 2, kClient),
    server("client|info", 2, kClient),
    server("client|kill", -3, kAdmin),
    server("client|list", -2, kAdmin),
    server("client|no-evict", 3, kAdmin),
    server("client|no-touch", 3, kClient),
    server("client|pause", -3, kAdmin),
    server("client|reply", 3, kClient),
    server("client|setinfo", 4, kClient),
    server("client|setname", 3, kClient),
    server("client|tracking", -3, kClient),
    server("client|trackinginfo", 2, kClient),
    server("client|unblock", -3, kAdmin),
    server("client|unpause", 2, kAdmin),
    server("cluster", -2, {}),
    server("command", -1, kAboutCommands | container),
    server("command|count", 2, kAboutCommands),
    server("command|docs", -2, kAboutCommands),
    server("command|getkeys", -4, kAboutCommands),
    server("command|getkeysandflags", -4, kAboutCommands),
    server("command|help", 2, kAnytime),
    server("command|info", -2, kAboutCommands),
    server("command|list", -2, kAboutCommands),
    server("config", -2, container),
    server("config|get", -3, kAdmin),
    server("config|help", 2, kAnytime),
    server("config|resetstat", 2, kAdmin),
    server("config|rewrite", 2, kAdmin),
    server("config|set", -4, kAdmin),
    data("copy", -3, kGrows, kBoth, copy, find_copy_keys),
    whole("dbsize", 1, kReadsFast),
    server("debug", -2, kAdmin),
    data("decr", 2, kGrowsFast, kKey, decr),
    data("decrby", 3, kGrowsFast, kKey, decrby),
    data("del", -2, kWrites, kAll, del),
    server("discard", 1, kTransaction | runs_in_multi),
    server("echo", 2, kAnytime | fast),
    server("exec", 1, kClient | skip_slowlog | runs_in_multi),
    data("exists", -2, kReadsFast, kAll, exists),
    data("expire", -3, kWritesFast, kKey, expire),
    data("expireat", -3, kWritesFast, kKey, expireat),
    data("expiretime", 2, kReadsFast, kKey, expiretime),
    whole("flushall", -1, kWrites),
    whole("flushdb", -1, kWrites),
    data("get", 2, kReadsFast, kKey, get),
    data("getdel", 2, kWritesFast, kKey, getdel),
    data("getex", -2, kWritesFast, kKey, getex),
    data("getrange", 4, kReads, kKey, getrange),
    data("getset", 3, kGrowsFast, kKey, getset),
    server("hello", -1, kGreeting),
    data("incr", 2, kGrowsFast, kKey, incr),
    data("incrby", 3, kGrowsFast, kKey, incrby),
    data("incrbyfloat", 3, kGrowsFast, kKey, incrbyfloat),
    server("info", -1, kAnytime),
    whole("keys", 2, kReads),
    server("larder", -2, container),
    server("larder|help", 2, kAnytime),
    server("larder|hotkeys", -2, kAdmin),
    server("larder|slowlog", -2, kAdmin),
    server("latency", -2, container),
    server("latency|doctor", 2, kAdmin),
    server("latency|graph", 3, kAdmin),
    server("latency|help", 2, kAnytime),
    server("latency|histogram", -2, kAdmin),
    server("latency|history", 3, kAdmin),
    server("latency|latest", 2, kAdmin),
    server("latency|reset", -2, kAdmin),
    data("lcs", -3, readonly, kBoth, lcs),
    server("memory", -2, container),
    server("memory|doctor", 2, {}),
    data("memory|help", 2, kAnytime | scalar_reply, kNoKey, memory_help),
    server("memory|malloc-stats", 2, {}),
    server("memory|purge", 2, {}),
    server("memory|stats", 2, {}),
    data("memory|usage", -3, kReads, kSecond, memory_usage),
    data("mget", -2, kReadsFast, kAll, mget),
    server("module", -2, upstream_answers),
    server("monitor", 1, kAdmin),
    data("move", 3, kWritesFast, kKey, move, find_move_keys),
    data("mset", -3, kGrows, kPairs, mset),
    data("msetnx", -3, kGrows, kPairs, msetnx),
    server("multi", 1, kTransaction | runs_in_multi),
    server("object", -2, container),
    data("object|encoding", 3, kReads, kSecond, object_encoding),
    data("object|freq", 3, kReads, kSecond, object_freq),
    data("object|help", 2, kAnytime | scalar_reply, kNoKey, object_help),
    data("object|idletime", 3, kReads, kSecond, object_idletime),
    data("object|refcount", 3, kReads, kSecond, object_refcount),
    data("persist", 2, kWritesFast, kKey, persist),
    data("pexpire", -3, kWritesFast, kKey, pexpire),
    data("pexpireat", -3, kWritesFast, kKey, pexpireat),
    data("pexpiretime", 2, kReadsFast, kKey, pexpiretime),
    server("ping", -1, fast),
    data("psetex", 4, kGrows, kKey, psetex),
    server("psubscribe", -2, kSubscription),
    data("pttl", 2, kReadsFast, kKey, pttl),
    server("publish", 3, kPublishing | fast),
    server("pubsub", -2, container | upstream_answers),
    server("pubsub|channels", -2, kPublishing),
    server("pubsub|help", 2, kAnytime | upstream_answers),
    server("pubsub|numpat", 2, kPublishing),
    server("pubsub|numsub", -2, kPublishing),
    server("pubsub|shardchannels", -2, kPublishing),
    server("pubsub|shardnumsub", -2, kPublishing),
    server("punsubscribe", -1, kSubscription),
    server("quit", -1, kGreeting | runs_in_multi),
    whole("randomkey", 1, kReads),
    server("readonly", 1, kAnytime | fast),
    server("readwrite", 1, kAnytime | fast),
    data("rename", 3, kWrites, kBoth, rename),
    data("renamenx", 3, kWritesFast, kBoth, renamenx),
    server("reset", 1, kGreeting | runs_in_multi),
    server("role", 1, kClient | fast),
    whole("scan", -2, kReads),
    server("select", 2, kAnytime | fast),
    data("set", -3, kGrows, kKey, set),
    data("setex", 4, kGrows, kKey, setex),
    data("setnx", 3, kGrowsFast, kKey, setnx),
    data("setrange", 4, kGrows, kKey, setrange),
    server("shutdown", -1, kAdmin | no_multi | allow_busy),
    server("slowlog", -2, container),
    server("slowlog|get", -2, kAnytime | admin),
    server("slowlog|help", 2, kAnytime),
    server("slowlog|len", 2, kAnytime | admin),
    server("slowlog|reset", 2, kAnytime | admin),
    {"spublish", 3, kPublishing | fast, kKey, Runner::connection},
    {"ssubscribe", -2, kSubscription, kAll, Runner::connection},
    data("strlen", 2, kReadsFast, kKey, strlen),
    server("subscribe", -2, kSubscription),
    data("substr", 4, kReads, kKey, getrange),
    {"sunsubscribe", -1, kSubscription, kAll, Runner::connection},
    whole("swapdb", 3, kWritesFast),
    data("tagadd", -3, kGrowsFast, kKey, tagadd),
    whole("tagcount", -2, kReads),
    whole("taginvalidate", -2, kWrites),
    whole("tagkeys", -2, kReads),
    data("taglist", 2, kReadsFast, kKey, taglist),
    data("tagrem", -3, kWritesFast, kKey, tagrem),
    server("time", 1, kAnytime | fast),
    data("touch", -2, kReadsFast, kAll, exists),
    data("ttl", 2, kReadsFast, kKey, ttl),
    data("type", 2, kReadsFast, kKey, type),
    data("unlink", -2, kWritesFast, kAll, del),
    server("unsubscribe", -1, kSubscription),
    server("unwatch", 1, kTransaction),
    server("wait", 3, noscript | upstream_answers),
    {"watch", -2, kTransaction | runs_in_multi, kAll, Runner::connection},
};

static_assert(std::ranges::adjacent_find(kTable, std::ranges::greater_equal(), &CommandSpec::name) ==
              std::ranges::end(kTable));

/// Hash table of the top-level names, built by the compiler: open addressing with linear probing.
///
/// Invariant: at most half full, so every probe ends at a free slot.
class NameIndex {
 public:
  consteval NameIndex() {
    for (std::size_t row = 0; row < std::size(kTable); ++row)
      if (!is_subcommand(kTable[row])) insert(kTable[row].name, static_cast<std::uint8_t>(row + 1));
  }

  [[nodiscard]] constexpr const CommandSpec* find(ByteView name) const noexcept {
    if (name.empty()) return nullptr;
    for (std::size_t slot = hash(name);; slot = next(slot)) {
      if (rows_[slot] == 0) return nullptr;
      const CommandSpec& spec = kTable[rows_[slot] - 1];
      if (equals_ignore_case(name, spec.name)) return &spec;
    }
  }

 private:
  static constexpr std::size_t kSlots = 512;
  static_assert(std::size(kTable) <= std::min<std::size_t>(kSlots / 2, UINT8_MAX));

  /// Four letters and the length tell nearly all names apart, at a cost that does not grow with the name.
  static constexpr std::size_t hash(ByteView name) noexcept {
    const auto letter = [name](std::size_t i) { return static_cast<std::uint32_t>(name[i] & 0x1f); };
    const std::size_t size = name.size();
    const std::uint32_t mixed = letter(0) | letter(size / 3) << 5 | letter(size / 2) << 10 |
                                letter(size - 1) << 15 | static_cast<std::uint32_t>(size) << 20;
    return (mixed * 0x9e3779b1u) >> 23;
  }

  static constexpr std::size_t next(std::size_t slot) noexcept { return (slot + 1) % kSlots; }

  constexpr void insert(ByteView name, std::uint8_t row) {
    std::size_t slot = hash(name);
    while (rows_[slot] != 0) slot = next(slot);
    rows_[slot] = row;
  }

  std::array<std::uint8_t, kSlots> rows_{};  ///< row + 1; 0 = free
};

constexpr NameIndex kNames;

}  // namespace

std::span<const CommandSpec> all_commands() noexcept {
  return kTable;
}

const CommandSpec* find_command(ByteView name) noexcept {
  return kNames.find(name);
}

const CommandSpec* find_subcommand(const CommandSpec& container, ByteView subcommand) noexcept {
  const std::size_t prefix = container.name.size() + 1;
  const CommandSpec* const end = std::end(kTable);
  for (const CommandSpec* spec = &container + 1; spec != end && is_subcommand(*spec); ++spec)
    if (equals_ignore_case(subcommand, spec->name.substr(prefix))) return spec;
  return nullptr;
}

const CommandSpec* find_row(std::span<const ByteView> argv) noexcept {
  const CommandSpec* const spec = find_command(argv[0]);
  if (!spec || !spec->flags.has(Flag::container) || argv.size() == 1) return spec;
  return find_subcommand(*spec, argv[1]);
}

void collect_keys(const CommandSpec& spec, const Call& call, std::vector<KeyRef>& keys) {
  if (spec.find_keys) return spec.find_keys(call, keys);
  if (spec.keys.step == 0) return;
  const int count = static_cast<int>(call.argv.size());
  const int last = spec.keys.last < 0 ? count + spec.keys.last : spec.keys.last;
  for (int i = spec.keys.first; i <= last && i < count; i += spec.keys.step)
    keys.push_back(call.key(static_cast<std::size_t>(i)));
}

}  // namespace larder
