#include "config/load.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "config/support.h"

namespace larder::config {
namespace {

using namespace std::chrono_literals;
using Source = Origin::Source;

/// A configuration file that is gone when the test is.
class ConfigFile {
 public:
  explicit ConfigFile(std::string_view content) {
    std::string name = (std::filesystem::temp_directory_path() / "larder-XXXXXX.toml").string();
    ::close(::mkstemps(name.data(), 5));
    path_ = name;
    std::ofstream(path_) << content;
  }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  ~ConfigFile() { std::filesystem::remove(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string at(int line) const { return path_ + ':' + std::to_string(line); }

 private:
  std::string path_;
};

TEST_CASE("load: without anything the defaults hold and nothing has an origin") {
  const Settings settings = load_with({});
  CHECK(settings.server.port == 6379);
  CHECK(settings.server.bind == std::vector<std::string>{"127.0.0.1"});
  CHECK(settings.environment == Environment::unset);
  CHECK(settings.backend == BackendKind::automatic);
  CHECK(settings.server.max_bulk_bytes == 512ULL << 20);
  CHECK(settings.l1.memory_bytes == memory_share_bytes(25));
  CHECK(settings.origins.empty());
}

TEST_CASE("load: a flag goes before a variable, that before the file, that before the default") {
  const ConfigFile file("backend = 'memory'\n[redis]\nurl = 'redis://file'\ncommand_timeout = '3s'\n");
  const Variables variables{{"CACHE_ADAPTER", "redis"}, {"REDIS_URL", "redis://variable"}};
  const Settings settings = load_with({"--config", file.path(), "--backend", "database"}, variables);
  CHECK(settings.backend == BackendKind::postgres);
  CHECK(settings.redis.url == "redis://variable");
  CHECK(settings.redis.command_timeout == 3s);
  CHECK(settings.redis.connect_timeout == 2s);
  CHECK(bool(settings.origins.at("backend") == Origin{Source::flag, "--backend"}));
  CHECK(bool(settings.origins.at("redis.url") == Origin{Source::variable, "REDIS_URL"}));
  CHECK(bool(settings.origins.at("redis.command_timeout") == Origin{Source::file, file.at(4)}));
  CHECK(settings.origins.size() == 3);
}

TEST_CASE("load: every kind of value in a file") {
  const ConfigFile file(R"(
environment = "production"
[server]
bind = ["127.0.0.1", "127.0.0.2"]
unixsocketperm = "755"
requirepass = "sesame"
allow-unprotected = true   # redis.conf would write it with hyphens
timeout = 60
tcp-keepalive = "2m"
client-query-buffer-limit = 1048576
pubsub_output_limit = "1mb 512kb 10s"
slowlog_log_slower_than = "off"
[l1]
memory = "128mb"
eviction = "lru"
untracked_ttl = "250ms"
[postgres]
durability = "durable"
data_dir = "/srv/larder"
[cache]
default_ttl = 3600
compression = true
)");
  const Settings settings = load_with({"--config", file.path()});
  CHECK(settings.environment == Environment::production);
  CHECK(settings.server.bind.size() == 2);
  CHECK(settings.server.unixsocket_mode == 0755);
  CHECK(settings.server.requirepass == "sesame");
  CHECK(settings.server.allow_unprotected);
  CHECK(settings.server.timeout == 60s);
  CHECK(settings.server.tcp_keepalive == 120s);
  CHECK(settings.server.query_buffer_limit_bytes == 1 << 20);
  CHECK(bool(settings.server.pubsub_output_limit == OutputLimit{1 << 20, 512 << 10, 10s}));
  CHECK(bool(settings.server.slowlog_slower_than == std::nullopt));
  CHECK(settings.l1.memory_bytes == 128 << 20);
  CHECK(settings.l1.eviction == Eviction::lru);
  CHECK(settings.l1.untracked_ttl == 250ms);
  CHECK(settings.postgres.durability == Durability::durable);
  CHECK(settings.postgres.data_dir == "/srv/larder");
  CHECK(settings.cache.default_ttl == 1h);
  CHECK(settings.cache.compression);
}

TEST_CASE("load: an error in a file names file, line and key, what was found and what is allowed") {
  struct Case {
    std::string_view content;
    int line;
    std::string_view word;
  };
  const std::vector<Case> cases{
      {"[server]\nprot = 1", 2, "unknown key server.prot; did you mean server.port?"},
      {"port = 1", 1, "unknown key port; did you mean server.port?"},
      {"[redis]\nfrobnicate = 1", 2, "unknown key redis.frobnicate; [redis] has url, connect_timeout"},
      {"[mongodb]\nuri = 'x'", 2, "unknown key mongodb.uri; known are server, tls, l1"},
      {"\n[mongodb]\n", 2, "unknown key mongodb; known are"},
      {"[server.port]\nx = 1", 2, "unknown key server.port.x"},
      {"[server]\nport = 'x'", 2, R"(is "x"; it must be an integer from 0 to 65535 or "off")"},
      {"[server]\nport = 65536", 2, R"(is "65536"; it must be an integer from 0 to 65535)"},
      {"[server]\nport = 1.5", 2, R"(is a decimal number; it must be an integer from 0 to 65535 or "off"|)"},
      {"[server]\nallow_unprotected = 'true'", 2, "is a string; it must be true or false"},
      {"[server]\nbind = ['localhost']", 2, R"(is "localhost"; it must be IPv4 and IPv6 addresses)"},
      {"[server]\nbind = [1]", 2, "is an array with other things than strings; it must be IPv4"},
      {"[server]\nbind = 1979-05-27", 2, "is a date or time; it must be IPv4"},
      {"[server.bind]\n", 1, "is a table; it must be IPv4"},
      {"[server]\nrequirepass = 1234", 2, "is an integer; it must be a string, in quotes"},
      {"[server]\ntimeout = '1500ms'", 2, "whole seconds"},
      {"[server]\nproto_max_bulk_len = '1gb'", 2, "a size from 1mb to 512mb"},
      {"[l1]\nmemory = '64 mb'", 2, R"(is "64 mb"; it must be 0, a size)"},
      {"[l1]\nmemory = true", 2, "is a boolean; it must be 0, a size"},
      {"[l1]\nmemory = true", 2, R"("1%" to "90%"|)"},
      {"[redis]\nping_interval = 5", 2, R"(is "5"; it must be a time from 10ms to 1h)"},
      {"[redis]\nping-interval = '1s'\nping_interval = '2s'", 0, "redis.ping_interval is given twice"},
      {"[server\n", 1, ""},
  };
  for (const Case& c : cases) {
    const ConfigFile file(c.content);
    const std::string error = error_of([&] { load_with({"--config", file.path()}); });
    CAPTURE(c.content);
    CAPTURE(error);
    CHECK((error + '|').find(c.word) != std::string::npos);
    CHECK(error.find(c.line == 0 ? file.path() : file.at(c.line)) != std::string::npos);
  }
}

TEST_CASE("load: a file that cannot be read is an error that names it") {
  CHECK(error_of([] {
          load_with({"--config", "/nonexistent/l.toml"});
        }) == "cannot read /nonexistent/l.toml: No such file or directory");
  CHECK(error_of([] { load_with({"--config", "/tmp"}); }) == "cannot read /tmp: it is a directory");
}

TEST_CASE("load: an empty file and empty sections say nothing") {
  const ConfigFile file("[server]\n[l1]\n");
  CHECK(load_with({"--config", file.path()}).origins.empty());
}

TEST_CASE("load: the environment is told by LARDER_ENV, else APP_ENV, else NODE_ENV") {
  struct Case {
    Variables variables;
    Environment environment;
    std::string_view origin;
  };
  const std::vector<Case> cases{
      {{{"NODE_ENV", "test"}}, Environment::test, "NODE_ENV"},
      {{{"NODE_ENV", "test"}, {"APP_ENV", "production"}}, Environment::production, "APP_ENV"},
      {{{"NODE_ENV", "test"}, {"APP_ENV", "staging"}, {"LARDER_ENV", "development"}},
       Environment::development,
       "LARDER_ENV"},
      {{{"NODE_ENV", "test"}, {"LARDER_ENV", ""}}, Environment::test, "NODE_ENV"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.origin);
    const Settings settings = load_with({}, c.variables);
    CHECK(settings.environment == c.environment);
    CHECK(settings.origins.at("environment").name == c.origin);
  }
}

TEST_CASE("load: the variables of the cache") {
  const Settings settings =
      load_with({}, {{"CACHE_DEFAULT_TTL", "90"}, {"CACHE_ENABLE_COMPRESSION", "true"}});
  CHECK(settings.cache.default_ttl == 90s);
  CHECK(settings.cache.compression);
}

TEST_CASE("load: an error in a variable names it and what would go before it") {
  CHECK(error_of([] {
          load_with({}, {{"CACHE_DEFAULT_TTL", "-1"}});
        }).starts_with(R"(CACHE_DEFAULT_TTL is "-1"; it must be)"));
  CHECK(error_of([] {
          load_with({}, {{"CACHE_ENABLE_COMPRESSION", "lz4"}});
        }) == R"(CACHE_ENABLE_COMPRESSION is "lz4"; it must be true or false)");
  CHECK(
      error_of([] {
        load_with({}, {{"NODE_ENV", "staging"}});
      }) ==
      R"(NODE_ENV is "staging"; it must be "production" or "development" or "test" (LARDER_ENV goes before it))");
}

TEST_CASE("load: a flag is the way round a variable that means something else") {
  CHECK(load_with({"--backend", "memory"}, {{"CACHE_ADAPTER", "dragonfly"}}).backend == BackendKind::memory);
}

TEST_CASE("load: libpq's variables and REDIS_CLUSTER_NODES are noticed") {
  CHECK(load_with({}, {{"PGDATABASE", "app"}}).postgres.libpq_variable == "PGDATABASE");
  CHECK(load_with({}, {{"PGHOST", "/run/postgresql"}}).postgres.libpq_variable == "PGHOST");
  CHECK(load_with({}, {{"PGSERVICE", "app"}}).postgres.libpq_variable == "PGSERVICE");
  CHECK(load_with({}, {{"PGUSER", "me"}, {"PGHOST", ""}}).postgres.libpq_variable.empty());
  CHECK(load_with({}, {{"REDIS_CLUSTER_NODES", "a:1,b:2"}}).redis.cluster_nodes == "a:1,b:2");
}

TEST_CASE("load: an address of Redis is read whatever the backend is") {
  struct Case {
    const char *name, *value, *error;
  };
  for (const Case& c :
       {Case{"REDIS_CLUSTER_NODES", "foo", "a node has no port: they are written host:port,host:port"},
        Case{"REDIS_CLUSTER_NODES", "a:1,redis://b",
             "a node has no port: they are written host:port,host:port"},
        Case{"REDIS_CLUSTER_NODES", "me:pw@[::1]",
             "a node has no port: they are written host:port,host:port"},
        Case{"REDIS_CLUSTER_NODES", "a:x", "the port is not a number"},
        Case{"REDIS_URL", "redis://h:0x1", "the port is not a number"}}) {
    CAPTURE(c.value);
    const std::string error = error_of([&] { load_with({"--backend", "memory"}, {{c.name, c.value}}); });
    CHECK(error.starts_with(std::string(c.name) + ": " + c.error));
  }
  CHECK_NOTHROW(load_with({}, {{"REDIS_CLUSTER_NODES", "a:1, rediss://me:p:w@[::1]:2"}}));
  CHECK_NOTHROW(load_with({"--redis-url", "redis://h"}, {{"REDIS_URL", "nonsense"}}));
}

TEST_CASE("load: the data directory is the user's own, root's is the system's") {
  if (::geteuid() == 0) {
    CHECK(load_with({}, {{"HOME", "/root"}}).postgres.data_dir == "/var/lib/larder");
    return;
  }
  CHECK(load_with({}, {{"HOME", "/home/me"}}).postgres.data_dir == "/home/me/.local/share/larder");
  CHECK(load_with({}, {{"HOME", "/home/me"}, {"XDG_DATA_HOME", "/data"}}).postgres.data_dir ==
        "/data/larder");
}

TEST_CASE("load: listening beyond loopback needs a password or a second word") {
  struct Case {
    std::string_view content;
    bool allowed;
  };
  const std::vector<Case> cases{
      {"[server]\nbind = ['127.0.0.1', '::1', '127.1.2.3']", true},
      {"[server]\nbind = ['127.0.0.1', '0.0.0.0']", false},
      {"[server]\nbind = ['::']", false},
      {"[server]\nbind = ['192.168.1.1']", false},
      {"[server]\nbind = ['0.0.0.0']\nrequirepass = 'x'", true},
      {"[server]\nbind = ['0.0.0.0']\nallow_unprotected = true", true},
  };
  for (const Case& c : cases) {
    const ConfigFile file(c.content);
    const std::string error = error_of([&] { load_with({"--config", file.path()}); });
    CAPTURE(c.content);
    CAPTURE(error);
    CHECK((error == "no error") == c.allowed);
    if (!c.allowed) CHECK(error.find("server.allow_unprotected = true") != std::string::npos);
  }
}

TEST_CASE("load: there must be something to listen on") {
  const ConfigFile file("[server]\nbind = []\n");
  CHECK(error_of([&] {
          load_with({"--config", file.path()});
        }).find("nothing to listen on") != std::string::npos);
  CHECK(load_with({"--config", file.path(), "--unixsocket", "/tmp/l.sock"}).server.bind.empty());
  CHECK(error_of([] {
          load_with({"--port", "off"});
        }).starts_with("server.port and tls.port are off and server.unixsocket is not set"));
  CHECK_FALSE(
      load_with({"--port", "off", "--tls-port", "0", "--tls-cert-file", "c"}).server.port.has_value());
}

TEST_CASE("load: TLS that lacks a file is refused") {
  CHECK(error_of([] { load_with({"--tls-port", "1"}); }) == "--tls-port is set, but tls.cert_file is not");
  const ConfigFile clients("[tls]\nport = 1\ncert_file = 'c'\nauth_clients = 'optional'\n");
  CHECK(error_of([&] {
          load_with({"--config", clients.path()});
        }).ends_with(":4) is set, but tls.ca_cert_file or tls.ca_cert_dir is not"));
  const ConfigFile upstream("[redis.tls]\nkey_file = 'k'\n");
  CHECK(error_of([&] {
          load_with({"--config", upstream.path()});
        }).ends_with(":2) is set, but redis.tls.cert_file is not"));
}

TEST_CASE("load: the variables of this process can be read") {
  ::setenv("LARDER_LOAD_TEST", "a=b", 1);
  CHECK(process_variables().at("LARDER_LOAD_TEST") == "a=b");
  ::unsetenv("LARDER_LOAD_TEST");
}

TEST_CASE("settings: workers are as many as set, or one per core") {
  CHECK(worker_count(ServerSettings{.workers = 3}) == 3);
  CHECK(worker_count(ServerSettings{}) >= 1);
}

}  // namespace
}  // namespace larder::config
