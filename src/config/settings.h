#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "config/machine.h"

// What a Larder can be told, as plain structs. The member initialisers are the defaults; config/keys.cpp
// gives every member its name, its limits and its words, and config/load.h fills them in.
namespace larder::config {

/// A sentence for the person at the terminal: where (file and line, flag or variable), what was found, what
/// is allowed.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Environment { unset, production, development, test };
enum class BackendKind { automatic, redis, postgres, memory };
enum class Eviction { s3fifo, lru, noeviction };
enum class Durability { unlogged, durable };
enum class Fallback { none, database, memory };
enum class TlsVersion { tls12, tls13 };
enum class TlsClients { automatic, no, optional, yes };  // whose certificates are asked for
enum class TlsVerify { full, ca, none };                 // of a server's certificate

/// Bounds of what may wait to be sent to one client; 0 is no bound.
struct OutputLimit {
  std::uint64_t hard_bytes = 0;
  std::uint64_t soft_bytes = 0;  // for longer than soft_time
  std::chrono::seconds soft_time{0};

  bool operator==(const OutputLimit&) const = default;
};

/// Certificates and rules of one direction of TLS; files in PEM form, empty: none.
struct TlsSettings {
  std::string cert_file, key_file, key_file_pass;  // our own; without key_file the key is in cert_file
  std::string ca_cert_file, ca_cert_dir;           // who vouches for the other side
  TlsVersion min_version = TlsVersion::tls12;
  std::string ciphers, ciphersuites;  // up to TLS 1.2, from 1.3 on; empty: OpenSSL's

  bool operator==(const TlsSettings&) const = default;
};

struct ServerSettings {
  std::vector<std::string> bind{"127.0.0.1"};
  std::optional<std::uint16_t> port = 6379;             // 0: a free one; none: TLS or the Unix socket only
  std::optional<std::uint16_t> tls_port;                // 0: a free one
  TlsClients tls_auth_clients = TlsClients::automatic;  // yes when there is a CA, otherwise no
  std::chrono::milliseconds tls_handshake_timeout{10'000};
  std::string unixsocket;  // empty: none
  std::uint32_t unixsocket_mode = 0700;
  unsigned workers = 0;             // 0: one per core, see worker_count()
  std::string announce_host;        // in answers to CLUSTER SLOTS; empty: what the client is connected to
  std::uint16_t announce_port = 0;  // 0: the same
  std::uint16_t announce_tls_port = 0;
  std::string requirepass;
  bool allow_unprotected = false;
  unsigned databases = 16;
  unsigned max_clients = 10'000;
  std::chrono::seconds timeout{0};
  std::chrono::seconds tcp_keepalive{300};
  std::uint64_t max_bulk_bytes = 512ULL << 20;
  std::uint64_t query_buffer_limit_bytes = 1ULL << 30;
  OutputLimit normal_output_limit;
  OutputLimit pubsub_output_limit{32ULL << 20, 8ULL << 20, std::chrono::seconds(60)};
  std::optional<std::chrono::microseconds> slowlog_slower_than{10'000};  // none: no slow log
  std::uint64_t slowlog_max_len = 128;
  std::chrono::milliseconds shutdown_deadline{10'000};
};

struct L1Settings {
  std::uint64_t memory_bytes = memory_share_bytes(25);  // 0: off
  Eviction eviction = Eviction::s3fifo;
  std::chrono::milliseconds untracked_ttl{0};   // 0: no L1 over a Redis that cannot track
  std::chrono::milliseconds max_ttl{0};         // 0: as long as the key lives
  std::chrono::milliseconds negative_ttl{0};    // the same for keys that do not exist
  std::chrono::milliseconds stale_on_error{0};  // 0: never
  unsigned ttl_jitter_percent = 10;
  std::vector<std::string> cache, observe, deny;  // prefixes; the longest wins
};

/// Which nodes of a cluster, or behind Sentinels, answer reads.
enum class ReadFrom { master, replica };

struct RedisSettings {
  std::string url;
  std::string cluster_nodes;  // REDIS_CLUSTER_NODES; goes before `url`
  std::string sentinel_user;  // of the Sentinels themselves
  std::string sentinel_password;
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds command_timeout{5'000};
  std::chrono::milliseconds ping_interval{1'000};
  std::chrono::milliseconds ping_timeout{2'000};
  unsigned breaker_failures = 5;  // 0: no circuit breaker
  std::chrono::milliseconds breaker_window{30'000};
  std::chrono::milliseconds breaker_pause{500};
  Fallback fallback = Fallback::none;
  std::uint64_t most_in_flight_bytes = 64ULL << 20;
  TlsVerify tls_verify = TlsVerify::full;
  std::string tls_server_name;  // empty: the host that is dialled
  unsigned private_connections = 1'000;
  ReadFrom read_from = ReadFrom::master;
  std::string tag_prefix = "larder:tags:";
};

struct PostgresSettings {
  std::string url;             // URL or libpq conninfo
  std::string libpq_variable;  // the PG* variable that names a database, if one is set
  std::string schema = "larder";
  Durability durability = Durability::unlogged;
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds command_timeout{10'000};
  std::filesystem::path data_dir;  // of the private PostgreSQL; load() puts the default in place of ""
};

struct CacheSettings {
  std::chrono::milliseconds default_ttl{0};  // 0: none
  bool compression = false;
};

/// Who set a value, and how a person finds it.
struct Origin {
  enum class Source { flag, variable, file };

  Source source;
  std::string name;  // "--port", "DATABASE_URL", "larder.toml:12"

  bool operator==(const Origin&) const = default;
};

/// How a person finds the value of a key: "--port", "DATABASE_URL", "server.port (larder.toml:12)".
[[nodiscard]] std::string name_of(std::string_view key, const Origin& origin);

struct Settings {
  /// What the command line asks the process to do.
  enum class Task { serve, check_config, print_help, print_version };

  Task task = Task::serve;
  std::string config_file;  // empty: none
  Environment environment = Environment::unset;
  BackendKind backend = BackendKind::automatic;
  LogLevel log_level = LogLevel::info;
  ServerSettings server;
  TlsSettings tls;  // of clients
  L1Settings l1;
  RedisSettings redis;
  TlsSettings redis_tls;
  PostgresSettings postgres;
  CacheSettings cache;

  /// By key name ("server.port"); a key that has its default is absent.
  std::map<std::string, Origin, std::less<>> origins;
};

/// The same for what holds now; the key itself when it has its default.
[[nodiscard]] std::string name_of(const Settings& settings, std::string_view key);

[[nodiscard]] bool set_by_flag(const Settings& settings, std::string_view key);

/// The number of worker threads: as set, or one per core.
[[nodiscard]] unsigned worker_count(const ServerSettings& server);

}  // namespace larder::config
