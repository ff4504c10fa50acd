#include "config/keys.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

namespace larder::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMegabyte = 1ULL << 20;
constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
constexpr unsigned kMaxUnsigned = std::numeric_limits<std::int32_t>::max();

// What a row may add to its member and its codec.
struct Words {
  std::string_view doc;
  std::string_view flag = {};
  std::string_view placeholder = {};
  std::vector<std::string_view> variables = {};
  Secret secret = Secret::none;
  std::string_view default_text = {};  // only where it is not simply what Settings{} prints as
};

const Settings& defaults() {
  static const Settings settings;
  return settings;
}

template <class T>
struct Member {
  T Settings::*member;

  T& of(Settings& s) const { return s.*member; }
  const T& of(const Settings& s) const { return s.*member; }
};

template <class Part, class T>
struct MemberOfPart {
  Part Settings::*part;
  T Part::*member;

  T& of(Settings& s) const { return s.*part.*member; }
  const T& of(const Settings& s) const { return s.*part.*member; }
};

template <class Place, class T>
Key make_key(std::string_view name, Place place, Codec<T> codec, Words words) {
  const auto text = [place, print = codec.print](const Settings& s) { return print(place.of(s)); };
  const auto assign = [place, parse = codec.parse](Settings& s, std::string_view written) {
    auto value = parse(written);
    if (value) place.of(s) = *std::move(value);
    return value.has_value();
  };
  return {
      .name = name,
      .doc = words.doc,
      .flag = words.flag,
      .placeholder = words.placeholder,
      .variables = std::move(words.variables),
      .secret = words.secret,
      .default_text = words.default_text.empty() ? text(defaults()) : std::string(words.default_text),
      .types = std::move(codec.types),
      .allowed = std::move(codec.allowed),
      .assign = assign,
      .text = text,
  };
}

template <class T>
Key key(std::string_view name, T Settings::*member, Codec<T> codec, Words words) {
  return make_key(name, Member<T>{member}, std::move(codec), std::move(words));
}

template <class Part, class T>
Key key(std::string_view name, Part Settings::*part, T Part::*member, Codec<T> codec, Words words) {
  return make_key(name, MemberOfPart<Part, T>{part, member}, std::move(codec), std::move(words));
}

std::vector<Key> process_keys() {
  return {
      key("environment", &Settings::environment,
          choice<Environment>({{"production", Environment::production},
                               {"development", Environment::development},
                               {"test", Environment::test},
                               {"", Environment::unset}}),
          {.doc = "\"production\", \"development\", \"test\" or not set: what this process runs for. Decides "
                  "where the data "
                  "lives while `backend` is \"auto\".",
           .variables = {"LARDER_ENV", "APP_ENV", "NODE_ENV"}}),
      key("backend", &Settings::backend,
          choice<BackendKind>({{"auto", BackendKind::automatic},
                               {"redis", BackendKind::redis},
                               {"database", BackendKind::postgres},
                               {"postgres", BackendKind::postgres},
                               {"memory", BackendKind::memory}}),
          {.doc = "Where the data lives: \"auto\", \"redis\", \"database\" (the same as \"postgres\") or "
                  "\"memory\".",
           .flag = "--backend",
           .placeholder = "KIND",
           .variables = {"CACHE_ADAPTER"}}),
      key("log_level", &Settings::log_level,
          choice<LogLevel>({{"error", LogLevel::error},
                            {"warning", LogLevel::warning},
                            {"info", LogLevel::info},
                            {"debug", LogLevel::debug}}),
          {.doc = "What is logged to stderr: \"error\", \"warning\", \"info\" or \"debug\", each with those "
                  "before it.",
           .flag = "--log-level",
           .placeholder = "LEVEL"}),
  };
}

std::vector<Key> server_keys() {
  using S = ServerSettings;
  constexpr auto server = &Settings::server;
  return {
      key("server.bind", server, &S::bind, ip_addresses(),
          {.doc = "The addresses to listen on. An empty list: only the Unix socket.",
           .flag = "--bind",
           .placeholder = "ADDRESS"}),
      key("server.port", server, &S::port, integer<std::uint16_t>(0, 65535),
          {.doc = "The TCP port; 0 takes a free one.", .flag = "--port", .placeholder = "PORT"}),
      key("server.unixsocket", server, &S::unixsocket, socket_path(),
          {.doc = "The path of a Unix socket to listen on as well; empty: none.",
           .flag = "--unixsocket",
           .placeholder = "PATH"}),
      key("server.unixsocketperm", server, &S::unixsocket_mode, file_mode(),
          {.doc = "The octal file mode of the Unix socket."}),
      key("server.workers", server, &S::workers, integer(0U, 1024U),
          {.doc = "Worker threads; 0: one per core.", .flag = "--workers", .placeholder = "N"}),
      key("server.requirepass", server, &S::requirepass, text(),
          {.doc = "The password clients must give with AUTH; empty: none.", .secret = Secret::whole}),
      key("server.allow_unprotected", server, &S::allow_unprotected, boolean(),
          {.doc = "Listening beyond loopback without a password is refused unless this is true."}),
      key("server.databases", server, &S::databases, integer(1U, 1024U), {.doc = "Databases for SELECT."}),
      key("server.maxclients", server, &S::max_clients, integer(1U, kMaxUnsigned),
          {.doc = "Clients connected at once; one more is told so and closed."}),
      key("server.timeout", server, &S::timeout, duration(0s, seconds(365 * 24h), BareNumber::seconds),
          {.doc = "A client idle for so long is closed; 0: never."}),
      key("server.tcp_keepalive", server, &S::tcp_keepalive, duration(0s, seconds(24h), BareNumber::seconds),
          {.doc = "The interval of TCP keepalive probes; 0: none."}),
      key("server.proto_max_bulk_len", server, &S::max_bulk_bytes, byte_size(kMegabyte, 512 * kMegabyte),
          {.doc = "The longest string a client may send."}),
      key("server.client_query_buffer_limit", server, &S::query_buffer_limit_bytes,
          byte_size(kMegabyte, kMaxBytes),
          {.doc = "A client whose unfinished requests take more than this is closed."}),
      key("server.normal_output_limit", server, &S::normal_output_limit, output_limit(),
          {.doc = "A client with more than the hard limit of unsent replies, or more than the soft limit for "
                  "longer than the "
                  "time, is closed: \"HARD SOFT TIME\" or \"HARD\"; 0: no limit. A client that does not read "
                  "is not read from "
                  "either, so memory is bounded without it."}),
      key("server.pubsub_output_limit", server, &S::pubsub_output_limit, output_limit(),
          {.doc = "The same for clients that receive pushes: subscribers, MONITOR, tracking."}),
      key("server.slowlog_log_slower_than", server, &S::slowlog_slower_than,
          or_off(duration<microseconds>(0us, 1h)),
          {.doc = "Commands that took longer are kept for SLOWLOG; 0: all; \"off\": none."}),
      key("server.slowlog_max_len", server, &S::slowlog_max_len, integer<std::uint64_t>(0, 1'000'000),
          {.doc = "How many commands SLOWLOG keeps."}),
      key("server.shutdown_deadline", server, &S::shutdown_deadline, duration<milliseconds>(0ms, 1h),
          {.doc = "After SIGTERM, open requests have so long to finish."}),
  };
}

std::vector<Key> l1_keys() {
  using S = L1Settings;
  constexpr auto l1 = &Settings::l1;
  return {
      key("l1.memory", l1, &S::memory_bytes, memory_share(),
          {.doc = "The memory for records, as a size or as a share of what the machine or its cgroup has. In "
                  "front of redis and "
                  "postgres 0 turns L1 off; on the memory backend it is the limit of the store.",
           .flag = "--l1-memory",
           .placeholder = "SIZE",
           .default_text = "25%"}),
      key("l1.eviction", l1, &S::eviction,
          choice<Eviction>(
              {{"s3fifo", Eviction::s3fifo}, {"lru", Eviction::lru}, {"noeviction", Eviction::noeviction}}),
          {.doc = "Who goes when the memory is full: \"s3fifo\" or \"lru\". With \"noeviction\", on the "
                  "memory backend only, nobody "
                  "goes and writes fail."}),
      key("l1.untracked_ttl", l1, &S::untracked_ttl, duration<milliseconds>(0ms, 1h),
          {.doc = "Over a Redis without client tracking (before 6.0) nothing tells of changes: L1 is off, or "
                  "with this set keeps "
                  "what it read for so long and may be that stale."}),
  };
}

std::vector<Key> redis_keys() {
  using S = RedisSettings;
  constexpr auto redis = &Settings::redis;
  return {
      key("redis.url", redis, &S::url, text(),
          {.doc =
               "One Redis: redis://[user:password@]host[:port][/db] or unix://[user:password@]/path[?db=N].",
           .flag = "--redis-url",
           .placeholder = "URL",
           .variables = {"REDIS_URL"},
           .secret = Secret::password_inside}),
      key("redis.connect_timeout", redis, &S::connect_timeout, duration<milliseconds>(1ms, 1h),
          {.doc = "Connecting and logging in may take so long."}),
      key("redis.command_timeout", redis, &S::command_timeout, duration<milliseconds>(1ms, 1h),
          {.doc = "A command not answered for so long is answered with an error."}),
      key("redis.ping_interval", redis, &S::ping_interval, duration<milliseconds>(10ms, 1h),
          {.doc = "A connection silent for so long is probed."}),
      key("redis.ping_timeout", redis, &S::ping_timeout, duration<milliseconds>(10ms, 1h),
          {.doc = "A probe not answered for so long: the connection is dead, what L1 holds is void."}),
  };
}

std::vector<Key> postgres_keys() {
  using S = PostgresSettings;
  constexpr auto postgres = &Settings::postgres;
  return {
      key("postgres.url", postgres, &S::url, text(),
          {.doc = "postgres://user:password@host:port/database or \"host=... dbname=...\"; libpq's PGHOST, "
                  "PGSERVICE and "
                  "PGDATABASE name a database as well. Empty: a private PostgreSQL.",
           .flag = "--database-url",
           .placeholder = "URL",
           .variables = {"DATABASE_URL"},
           .secret = Secret::password_inside}),
      key("postgres.schema", postgres, &S::schema, schema_name(),
          {.doc = "The schema of Larder's tables. Larders of one schema share their data."}),
      key("postgres.durability", postgres, &S::durability,
          choice<Durability>({{"unlogged", Durability::unlogged}, {"durable", Durability::durable}}),
          {.doc = "\"unlogged\" is fast and empty after a crash of the database; \"durable\" survives it."}),
      key("postgres.connect_timeout", postgres, &S::connect_timeout, duration<milliseconds>(1ms, 1h),
          {.doc = "Connecting and logging in may take so long."}),
      key("postgres.command_timeout", postgres, &S::command_timeout, duration<milliseconds>(1ms, 1h),
          {.doc = "A command not answered for so long is answered with an error."}),
      key("postgres.data_dir", postgres, &S::data_dir, directory(),
          {.doc = "Where the private PostgreSQL keeps its data. Empty: /var/lib/larder for root, else "
                  "$XDG_DATA_HOME/larder or "
                  "~/.local/share/larder."}),
  };
}

std::vector<Key> cache_keys() {
  using S = CacheSettings;
  constexpr auto cache = &Settings::cache;
  return {
      key("cache.default_ttl", cache, &S::default_ttl,
          duration<milliseconds>(0ms, 365 * 24h, BareNumber::seconds),
          {.doc = "The time to live of a plain SET that names none; 0: for ever.",
           .variables = {"CACHE_DEFAULT_TTL"}}),
      key("cache.compression", cache, &S::compression, boolean(),
          {.doc = "Compress values in PostgreSQL (lz4).", .variables = {"CACHE_ENABLE_COMPRESSION"}}),
  };
}

std::vector<Key> all_keys() {
  std::vector<Key> all;
  for (auto* const part : {process_keys, server_keys, l1_keys, redis_keys, postgres_keys, cache_keys})
    std::ranges::move(part(), std::back_inserter(all));
  return all;
}

constexpr std::array kSections{
    Section{"", ""},
    Section{
        "server",
        "Listening, clients and their limits. The names are those of redis.conf where it has the setting."},
    Section{"l1", "The memory tier."},
    Section{"redis", "The backend \"redis\"."},
    Section{"postgres", "The backend \"postgres\"."},
    Section{"cache", "What applications of several tiers agree on."},
};

constexpr std::string_view kTitle =
    "# The configuration of Larder: every key, with its default commented out.\n"
    "# Read with `larder --config FILE`. Flags and environment variables go before it; `larder --config FILE "
    "--check-config`\n"
    "# shows what holds and where it comes from. Sizes: b k kb m mb g gb (k is 1000, kb is 1024). Times: us "
    "ms s m h d.\n";

constexpr std::size_t kCommentWidth = 116;

std::string as_comment(std::string_view words) {
  return fmt::format("# {}\n", fmt::join(wrap(words, kCommentWidth), "\n# "));
}

std::string documented(const Key& key) {
  std::string words(key.doc);
  if (!key.flag.empty()) words += fmt::format(" Flag {}.", key.flag);
  if (!key.variables.empty()) words += fmt::format(" Environment {}.", fmt::join(key.variables, ", else "));
  return fmt::format("\n{}# {} = {}\n", as_comment(words), leaf_of(key.name),
                     toml_value(key, key.default_text));
}

}  // namespace

std::span<const Key> keys() {
  static const std::vector<Key> all = all_keys();
  return all;
}

std::span<const Section> sections() {
  return kSections;
}

const Key* find_key(std::string_view name) {
  const auto found = std::ranges::find(keys(), name, &Key::name);
  return found == keys().end() ? nullptr : &*found;
}

std::string_view section_of(std::string_view key_name) {
  const std::size_t dot = key_name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key_name.substr(0, dot);
}

std::string_view leaf_of(std::string_view key_name) {
  return key_name.substr(key_name.rfind('.') + 1);
}

std::string toml_value(const Key& key, std::string_view text) {
  const bool may_be_integer = std::ranges::count(key.types, TomlType::integer) != 0;
  if (may_be_integer && parse_number(text)) return std::string(text);
  switch (key.types.front()) {
    case TomlType::string:
      return toml_string(text);
    case TomlType::array: {
      std::vector<std::string> parts = split(text, ',');
      std::ranges::transform(parts, parts.begin(), toml_string);
      return fmt::format("[{}]", fmt::join(parts, ", "));
    }
    default:
      return std::string(text);
  }
}

std::string documented_defaults() {
  std::string file(kTitle);
  for (const Section& section : sections()) {
    if (!section.name.empty()) file += fmt::format("\n{}[{}]\n", as_comment(section.doc), section.name);
    for (const Key& key : keys())
      if (section_of(key.name) == section.name) file += documented(key);
  }
  return file;
}

}  // namespace larder::config
