#include "config/keys.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/units.h"

namespace larder::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

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
      key("server.port", server, &S::port, port(),
          {.doc = "The TCP port; 0 takes a free one. \"off\": none, but for that of [tls].",
           .flag = "--port",
           .placeholder = "PORT"}),
      key("server.unixsocket", server, &S::unixsocket, socket_path(),
          {.doc = "The path of a Unix socket to listen on as well; empty: none.",
           .flag = "--unixsocket",
           .placeholder = "PATH"}),
      key("server.unixsocketperm", server, &S::unixsocket_mode, file_mode(),
          {.doc = "The octal file mode of the Unix socket."}),
      key("server.workers", server, &S::workers, integer(0U, 1024U),
          {.doc = "Worker threads; 0: one per core.", .flag = "--workers", .placeholder = "N"}),
      key("server.cluster_announce_ip", server, &S::announce_host, host(),
          {.doc =
               "The host, a name or an address, that CLUSTER SLOTS, SHARDS and NODES tell clients in front "
               "of a Redis Cluster; empty: the address that the client's connection has here, which is "
               "not right behind a load balancer or a published port."}),
      key("server.cluster_announce_port", server, &S::announce_port, integer<std::uint16_t>(0, 65535),
          {.doc = "The TCP port that they tell; 0: that of the client's connection."}),
      key("server.cluster_announce_tls_port", server, &S::announce_tls_port, integer<std::uint16_t>(0, 65535),
          {.doc = "The same for clients that speak TLS."}),
      key("server.requirepass", server, &S::requirepass, text(),
          {.doc = "The password clients must give with AUTH; empty: none. In front of Redis its users log in "
                  "with "
                  "their own.",
           .secret = Secret::whole}),
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
          {.doc = "The same for clients that receive pushes: subscribers, MONITOR."}),
      key("server.slowlog_log_slower_than", server, &S::slowlog_slower_than,
          or_off(duration<microseconds>(0us, 1h)),
          {.doc = "Commands that took longer are kept for SLOWLOG; 0: all; \"off\": none."}),
      key("server.slowlog_max_len", server, &S::slowlog_max_len, integer<std::uint64_t>(0, 1'000'000),
          {.doc = "How many commands SLOWLOG keeps."}),
      key("server.shutdown_deadline", server, &S::shutdown_deadline, duration<milliseconds>(0ms, 1h),
          {.doc = "After SIGTERM, open requests have so long to finish."}),
  };
}

Codec<TlsVersion> tls_version() {
  return choice<TlsVersion>({{"1.2", TlsVersion::tls12}, {"1.3", TlsVersion::tls13}});
}

std::vector<Key> tls_keys() {
  using S = TlsSettings;
  constexpr auto tls = &Settings::tls;
  constexpr auto server = &Settings::server;
  return {
      key("tls.port", server, &ServerSettings::tls_port, port(),
          {.doc =
               "The TCP port where clients speak TLS, at the addresses of server.bind; 0 takes a free one.",
           .flag = "--tls-port",
           .placeholder = "PORT"}),
      key("tls.cert_file", tls, &S::cert_file, text(),
          {.doc = "The certificate shown to clients, with those that lead to its authority.",
           .flag = "--tls-cert-file",
           .placeholder = "FILE"}),
      key("tls.key_file", tls, &S::key_file, text(),
          {.doc = "Its private key; empty: it is in tls.cert_file.",
           .flag = "--tls-key-file",
           .placeholder = "FILE"}),
      key("tls.key_file_pass", tls, &S::key_file_pass, text(),
          {.doc = "The password of an encrypted private key.", .secret = Secret::whole}),
      key("tls.ca_cert_file", tls, &S::ca_cert_file, text(),
          {.doc = "The authorities that vouch for clients.",
           .flag = "--tls-ca-cert-file",
           .placeholder = "FILE"}),
      key("tls.ca_cert_dir", tls, &S::ca_cert_dir, text(),
          {.doc = "The same as a directory of files, prepared with openssl rehash."}),
      key("tls.auth_clients", server, &ServerSettings::tls_auth_clients,
          choice<TlsClients>({{"yes", TlsClients::yes},
                              {"optional", TlsClients::optional},
                              {"no", TlsClients::no},
                              {"", TlsClients::automatic}}),
          {.doc = "Whether clients must show a certificate, may show one, or are not asked: \"yes\", "
                  "\"optional\" or \"no\". Not set: \"yes\" where an authority is named, otherwise \"no\"."}),
      key("tls.min_version", tls, &S::min_version, tls_version(),
          {.doc = "The oldest version of TLS that is spoken: \"1.2\" or \"1.3\"."}),
      key("tls.ciphers", tls, &S::ciphers, text(),
          {.doc = "The ciphers of TLS 1.2, as openssl ciphers writes them; empty: OpenSSL's choice."}),
      key("tls.ciphersuites", tls, &S::ciphersuites, text(), {.doc = "The same for TLS 1.3."}),
      key("tls.handshake_timeout", server, &ServerSettings::tls_handshake_timeout,
          duration<milliseconds>(100ms, 1h),
          {.doc = "A client that has not finished its handshake after so long is closed."}),
  };
}

std::vector<Key> redis_tls_keys() {
  using S = TlsSettings;
  constexpr auto tls = &Settings::redis_tls;
  constexpr auto redis = &Settings::redis;
  return {
      key("redis.tls.ca_cert_file", tls, &S::ca_cert_file, text(),
          {.doc = "The authorities that vouch for Redis. With neither this nor a directory: those of the "
                  "system."}),
      key("redis.tls.ca_cert_dir", tls, &S::ca_cert_dir, text(),
          {.doc = "The same as a directory of files, prepared with openssl rehash."}),
      key("redis.tls.verify", redis, &RedisSettings::tls_verify,
          choice<TlsVerify>({{"full", TlsVerify::full}, {"ca", TlsVerify::ca}, {"none", TlsVerify::none}}),
          {.doc = "What is asked of Redis' certificate: \"full\", from such an authority and for the host "
                  "that is "
                  "dialled; \"ca\", from such an authority; \"none\", nothing, and anybody may listen in."}),
      key("redis.tls.server_name", redis, &RedisSettings::tls_server_name, text(),
          {.doc = "The name that Redis' certificate must be for and that it is asked for (SNI), on every "
                  "node; empty: "
                  "the host that is dialled."}),
      key("redis.tls.cert_file", tls, &S::cert_file, text(),
          {.doc = "The certificate shown to Redis, where it wants one (tls-auth-clients)."}),
      key("redis.tls.key_file", tls, &S::key_file, text(),
          {.doc = "Its private key; empty: it is in redis.tls.cert_file."}),
      key("redis.tls.key_file_pass", tls, &S::key_file_pass, text(),
          {.doc = "The password of an encrypted private key.", .secret = Secret::whole}),
      key("redis.tls.min_version", tls, &S::min_version, tls_version(),
          {.doc = "The oldest version of TLS that is spoken: \"1.2\" or \"1.3\"."}),
      key("redis.tls.ciphers", tls, &S::ciphers, text(),
          {.doc = "The ciphers of TLS 1.2, as openssl ciphers writes them; empty: OpenSSL's choice."}),
      key("redis.tls.ciphersuites", tls, &S::ciphersuites, text(), {.doc = "The same for TLS 1.3."}),
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
      key("l1.max_ttl", l1, &S::max_ttl, duration<milliseconds>(0ms, 365 * 24h),
          {.doc =
               "In front of redis: the longest time that L1 believes what it has read; 0: as long as the key "
               "lives. Changes are heard of in any case."}),
      key("l1.negative_ttl", l1, &S::negative_ttl, duration<milliseconds>(0ms, 365 * 24h),
          {.doc = "In front of redis: the same for keys that do not exist."}),
      key("l1.ttl_jitter", l1, &S::ttl_jitter_percent, integer(0U, 90U),
          {.doc = "l1.max_ttl and l1.negative_ttl are shortened at random by up to so many percent, so that "
                  "what "
                  "was read together is not read again all at once."}),
      key("l1.stale_on_error", l1, &S::stale_on_error, duration<milliseconds>(0ms, 24h),
          {.doc = "In front of redis: while a node cannot be reached, L1 answers reads with what it had from "
                  "it, "
                  "for so long since it was lost; changes made meanwhile are not seen. 0: such reads are "
                  "errors."}),
      key("l1.deny", l1, &S::deny, prefixes(),
          {.doc = "In front of redis: L1 has nothing to do with keys that begin so. Of several prefixes in "
                  "l1.deny, l1.observe and l1.cache the longest holds."}),
      key("l1.observe", l1, &S::observe, prefixes(),
          {.doc =
               "L1 keeps these keys, but Redis answers; INFO counts in l1_observed_hits what L1 would have "
               "answered."}),
      key("l1.cache", l1, &S::cache, prefixes(), {.doc = "Exceptions: L1 keeps and answers these keys."}),
  };
}

std::vector<Key> redis_keys() {
  using S = RedisSettings;
  constexpr auto redis = &Settings::redis;
  return {
      key("redis.url", redis, &S::url, text(),
          {.doc = "One Redis, or any node of a Redis Cluster: redis://[user:password@]host[:port][/db] or "
                  "unix://[user:password@]/path[?db=N]. Several nodes of a cluster: "
                  "redis-cluster://[user:password@]host[:port],host[:port]; REDIS_CLUSTER_NODES=host:port,… "
                  "says the same. The master that Sentinels know by a name: "
                  "redis-sentinel://[user:password@]host[:port],host/master-name[/db]. With TLS: rediss://, "
                  "rediss-cluster:// and rediss-sentinel://, see [redis.tls].",
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
      key("redis.breaker_failures", redis, &S::breaker_failures, integer(0U, 1'000'000U),
          {.doc = "So many time-outs and lost connections of a node in a row open its circuit breaker: "
                  "requests for it fail at once, until it has answered a probe. 0: never."}),
      key("redis.breaker_window", redis, &S::breaker_window, duration<milliseconds>(1ms, 1h),
          {.doc = "They must happen within so long."}),
      key("redis.breaker_pause", redis, &S::breaker_pause, duration<milliseconds>(10ms, 1h),
          {.doc = "The pause before the first probe; each one that fails doubles it, up to four times as "
                  "long."}),
      key("redis.fallback", redis, &S::fallback,
          choice<Fallback>({{"none", Fallback::none},
                            {"database", Fallback::database},
                            {"postgres", Fallback::database},
                            {"memory", Fallback::memory}}),
          {.doc = "Where the data lives when Redis cannot be reached within redis.connect_timeout at start: "
                  "\"database\" or \"memory\", until Larder is started again; \"none\": there are errors "
                  "until Redis is there."}),
      key("redis.max_in_flight", redis, &S::most_in_flight_bytes, byte_size(64 * 1024, kMaxBytes),
          {.doc = "The bytes of requests without an answer, for each connection to Redis. Beyond it clients "
                  "are not read from until there is room."}),
      key("redis.sentinel_user", redis, &S::sentinel_user, text(),
          {.doc = "The user for the Sentinels themselves, if they ask for one: the login in redis.url is for "
                  "the master.",
           .variables = {"REDIS_SENTINEL_USER"}}),
      key("redis.sentinel_password", redis, &S::sentinel_password, text(),
          {.doc = "The password for the Sentinels themselves; empty: none.",
           .variables = {"REDIS_SENTINEL_PASSWORD"},
           .secret = Secret::whole}),
      key("redis.private_connections", redis, &S::private_connections, integer(0U, kMaxUnsigned),
          {.doc = "Connections to Redis that clients may have of their own at once, over all workers: for "
                  "commands that wait (BLPOP) and from WATCH to EXEC. One more is an error reply."}),
      key("redis.read_from", redis, &S::read_from,
          choice<ReadFrom>({{"master", ReadFrom::master}, {"replica", ReadFrom::replica}}),
          {.doc =
               "\"replica\": in a cluster and behind Sentinels a replica answers reads that L1 cannot "
               "answer, "
               "the master if none works. They may then be older than what the client has written, and fill "
               "no L1."}),
      key("redis.tag_prefix", redis, &S::tag_prefix, key_prefix(),
          {.doc = "The keys in Redis that say which key has which tags have names that begin so; no other "
                  "key's may. The same for all Larders on a Redis."}),
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
  for (auto* const part :
       {process_keys, server_keys, tls_keys, l1_keys, redis_keys, redis_tls_keys, postgres_keys, cache_keys})
    std::ranges::move(part(), std::back_inserter(all));
  return all;
}

constexpr std::array kSections{
    Section{"", ""},
    Section{
        "server",
        "Listening, clients and their limits. The names are those of redis.conf where it has the setting."},
    Section{"tls", "TLS for clients. The names are those of redis.conf without tls-; files are in PEM form."},
    Section{"l1", "The memory tier."},
    Section{"redis", "The backend \"redis\"."},
    Section{"redis.tls", "TLS on the way to Redis, where redis.url says rediss."},
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
