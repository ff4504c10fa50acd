#include "config/backend_choice.h"

#include <vector>

#include <doctest/doctest.h>

#include "config/support.h"

namespace larder::config {
namespace {

constexpr bool kInstalled = true;
constexpr bool kNotInstalled = false;

BackendChoice choose(const std::vector<std::string>& arguments, const Variables& variables, bool installed) {
  return choose_backend(load_with(arguments, variables), installed);
}

struct Choice {
  std::vector<std::string> arguments;
  Variables variables;
  bool installed;
  BackendKind kind;
  std::string_view reason;
};

const Variables kRedis{{"REDIS_URL", "redis://r"}};
const Variables kDatabase{{"DATABASE_URL", "postgres://p/db"}};
const Variables kBoth{{"REDIS_URL", "redis://r"}, {"DATABASE_URL", "postgres://p/db"}};

Variables in(std::string_view environment, Variables variables = {}) {
  variables.emplace("LARDER_ENV", environment);
  return variables;
}

TEST_CASE("backend choice: auto") {
  constexpr auto kPrivate = " and no database is named, so Larder runs a private PostgreSQL";
  const auto private_after = [&](std::string_view why) { return std::string(why) + kPrivate; };
  const std::string unset_private = private_after("postgres: environment is not set");
  const std::string test_private = private_after("postgres: environment is test (a schema of its own)");
  const std::string production_private =
      private_after("postgres: environment is production, REDIS_URL is not set");
  using enum BackendKind;
  const std::vector<Choice> cases{
      // not set, development: the database, even when REDIS_URL is set
      {{}, {}, kInstalled, postgres, unset_private},
      {{},
       {},
       kNotInstalled,
       memory,
       "memory: environment is not set, no database is named and no PostgreSQL server is installed"},
      {{}, kRedis, kInstalled, postgres, unset_private},
      {{}, kBoth, kNotInstalled, postgres, "postgres: environment is not set and DATABASE_URL is set"},
      {{},
       in("development", kBoth),
       kNotInstalled,
       postgres,
       "postgres: environment is development and DATABASE_URL is set"},
      {{},
       in("development", {{"PGHOST", "h"}}),
       kInstalled,
       postgres,
       "postgres: environment is development and PGHOST is set"},
      {{},
       in("development", kRedis),
       kNotInstalled,
       memory,
       "memory: environment is development, no database is named and no PostgreSQL server is installed"},
      // test: the database with a schema of its own, always
      {{},
       in("test", kBoth),
       kNotInstalled,
       postgres,
       "postgres: environment is test (a schema of its own) and DATABASE_URL is set"},
      {{}, in("test"), kInstalled, postgres, test_private},
      {{"--redis-url", "redis://r"}, in("test"), kInstalled, postgres, test_private},
      // production: Redis if there is one, else the database
      {{},
       in("production", kBoth),
       kInstalled,
       redis,
       "redis: environment is production and REDIS_URL is set"},
      {{},
       in("production", kDatabase),
       kInstalled,
       postgres,
       "postgres: environment is production, REDIS_URL is not set and DATABASE_URL is set"},
      {{}, in("production"), kInstalled, postgres, production_private},
      {{},
       in("production"),
       kNotInstalled,
       memory,
       "memory: environment is production, REDIS_URL is not set, no database is named and no PostgreSQL "
       "server is installed"},
      // an address on the command line is a wish
      {{"--redis-url", "redis://r"}, kDatabase, kInstalled, redis, "redis: --redis-url is given"},
      {{"--database-url", "postgres://p"},
       in("production", kRedis),
       kInstalled,
       postgres,
       "postgres: environment is production and --database-url is set"},
      {{"--redis-url", "redis://r", "--database-url", "postgres://p"},
       {},
       kInstalled,
       postgres,
       "postgres: environment is not set and --database-url is set"},
  };
  for (const Choice& c : cases) {
    CAPTURE(c.reason);
    const BackendChoice choice = choose(c.arguments, c.variables, c.installed);
    CHECK(choice.kind == c.kind);
    CHECK(choice.reason == c.reason);
    CHECK(choice.warning.empty() == (c.kind != memory));
  }
}

TEST_CASE("backend choice: said") {
  using enum BackendKind;
  const std::vector<Choice> cases{
      {{"--backend", "memory"}, kBoth, kInstalled, memory, "memory: --backend is memory"},
      {{"--backend", "redis"}, kBoth, kInstalled, redis, "redis: --backend is redis"},
      {{"--backend", "redis"}, in("test", kRedis), kInstalled, redis, "redis: --backend is redis"},
      {{"--backend", "database"},
       kBoth,
       kInstalled,
       postgres,
       "postgres: --backend is postgres and DATABASE_URL is set"},
      {{"--backend", "auto"},
       {{"CACHE_ADAPTER", "memory"}, {"DATABASE_URL", "postgres://p"}},
       kInstalled,
       postgres,
       "postgres: environment is not set and DATABASE_URL is set"},
      {{}, {{"CACHE_ADAPTER", "memory"}}, kInstalled, memory, "memory: CACHE_ADAPTER is memory"},
      {{},
       {{"CACHE_ADAPTER", "database"}},
       kInstalled,
       postgres,
       "postgres: CACHE_ADAPTER is postgres and no database is named, so Larder runs a private PostgreSQL"},
  };
  for (const Choice& c : cases) {
    CAPTURE(c.reason);
    const BackendChoice choice = choose(c.arguments, c.variables, c.installed);
    CHECK(choice.kind == c.kind);
    CHECK(choice.reason == c.reason);
    CHECK(choice.warning.empty());
  }
}

TEST_CASE("backend choice: what goes with it") {
  const BackendChoice redis = choose({"--backend", "redis"}, kBoth, kInstalled);
  CHECK(redis.address == "redis://r");
  CHECK_FALSE(redis.schema_per_process);

  const BackendChoice database = choose({}, kBoth, kInstalled);
  CHECK(database.address == "postgresql://p/db");
  CHECK_FALSE(database.private_postgres);
  CHECK_FALSE(database.schema_per_process);

  const BackendChoice test = choose({}, in("test"), kInstalled);
  CHECK(test.address.empty());
  CHECK(test.private_postgres);
  CHECK(test.schema_per_process);

  const BackendChoice libpq = choose({}, {{"PGSERVICE", "app"}}, kInstalled);
  CHECK(libpq.address.empty());
  CHECK_FALSE(libpq.private_postgres);

  const BackendChoice conninfo =
      choose({"--database-url", "host=/run/postgresql dbname=app"}, {}, kInstalled);
  CHECK(conninfo.address == "host=/run/postgresql dbname=app");
}

TEST_CASE("backend choice: a contradiction is an error that names the setting") {
  struct Refusal {
    std::vector<std::string> arguments;
    Variables variables;
    std::string_view error;
  };
  const std::vector<Refusal> cases{
      {{},
       {{"CACHE_ADAPTER", "redis"}},
       "CACHE_ADAPTER is redis, but no Redis is named: set --redis-url, REDIS_URL or redis.url"},
      {{"--backend", "database"},
       {},
       "--backend is postgres, but no database is named and no PostgreSQL server is installed"},
      {{},
       in("production", {{"REDIS_CLUSTER_NODES", "a:x"}}),
       "REDIS_CLUSTER_NODES: the port is not a number"},
      {{},
       in("production", {{"REDIS_URL", "redis-sentinel://r"}}),
       "REDIS_URL: the name that the Sentinels have for the master is missing"},
      {{"--redis-url", "redis-cluster://r/1"}, {}, "--redis-url: a cluster has no databases but 0"},
      {{"--redis-url", "redis://u:sesame@r:x"}, {}, "--redis-url: the port is not a number"},
      {{}, {{"DATABASE_URL", "mysql://u:sesame@h/db"}}, "DATABASE_URL is not the address of a PostgreSQL"},
      {{}, {{"DATABASE_URL", "app"}}, "DATABASE_URL is not the address of a PostgreSQL"},
      {{"--backend", "memory", "--l1-memory", "0"},
       {},
       "--l1-memory is 0, but the memory backend keeps its data there"},
      {{"--l1-memory", "0"}, {}, "--l1-memory is 0, but the memory backend"},
  };
  for (const Refusal& c : cases) {
    const std::string error = error_of([&] { choose(c.arguments, c.variables, kNotInstalled); });
    CAPTURE(c.error);
    CAPTURE(error);
    CHECK(error.starts_with(c.error));
    CHECK(error.find("sesame") == std::string::npos);
  }
}

TEST_CASE("backend choice: the nodes of a cluster go before a URL, but not before a flag") {
  const Variables both{{"REDIS_CLUSTER_NODES", "a:1,b:2"}, {"REDIS_URL", "redis://me:pw@r"}};
  const BackendChoice cluster = choose({}, in("production", both), kInstalled);
  CHECK(cluster.kind == BackendKind::redis);
  CHECK(cluster.address == "redis-cluster://me:pw@a:1,b:2");
  CHECK(cluster.reason == "redis: environment is production and REDIS_CLUSTER_NODES is set");
  CHECK(choose({"--redis-url", "redis://r"}, both, kInstalled).address == "redis://r");
}

TEST_CASE("backend choice: settings of TLS that an address does not use are a warning") {
  Settings settings;
  settings.backend = BackendKind::redis;
  settings.redis.url = "redis://r";
  CHECK(choose_backend(settings, kInstalled).warning.empty());
  settings.redis_tls.ca_cert_file = "ca.crt";
  CHECK(choose_backend(settings, kInstalled).warning ==
        "[redis.tls] is not used: redis.url does not say rediss");
  settings.redis.url = "rediss://r";
  CHECK(choose_backend(settings, kInstalled).warning.empty());
}

TEST_CASE("backend choice: an address of a backend that is not chosen does no harm") {
  const Variables odd{{"REDIS_URL", "redis-sentinel://r/m"},
                      {"REDIS_CLUSTER_NODES", "a:1"},
                      {"DATABASE_URL", "postgres://p"}};
  CHECK(choose({}, odd, kInstalled).kind == BackendKind::postgres);
  CHECK(choose({"--redis-url", "redis://r"}, odd, kInstalled).kind == BackendKind::redis);
  CHECK(choose({"--backend", "memory"}, {{"DATABASE_URL", "mysql://h"}}, kInstalled).kind ==
        BackendKind::memory);
}

TEST_CASE("backend choice: noeviction is for the memory backend only") {
  Settings settings;
  settings.l1.eviction = Eviction::noeviction;
  CHECK(error_of([&] {
          static_cast<void>(choose_backend(settings, kInstalled));
        }).starts_with("l1.eviction is noeviction, which only the memory backend"));
  CHECK(choose_backend(settings, kNotInstalled).kind == BackendKind::memory);
  settings.backend = BackendKind::memory;
  CHECK(choose_backend(settings, kInstalled).kind == BackendKind::memory);
}

TEST_CASE("backend choice: in place of a Redis that cannot be reached") {
  const auto settings_with = [](Fallback fallback, const Variables& variables) {
    Settings settings = load_with({"--backend", "redis", "--redis-url", "redis://r"}, variables);
    settings.redis.fallback = fallback;
    return settings;
  };
  const BackendChoice memory =
      choose_fallback(settings_with(Fallback::memory, kBoth), "Connection refused", kInstalled);
  CHECK(memory.kind == BackendKind::memory);
  CHECK(memory.reason ==
        "memory: Redis cannot be reached (Connection refused) and redis.fallback names another backend");
  CHECK(memory.warning ==
        "Redis cannot be reached (Connection refused): this Larder runs on memory until it is started again");
  const BackendChoice database =
      choose_fallback(settings_with(Fallback::database, kBoth), "no answer in 5 ms", kNotInstalled);
  CHECK(database.kind == BackendKind::postgres);
  CHECK(database.address == "postgresql://p/db");
  CHECK(database.warning.find("runs on postgres") != std::string::npos);
  const BackendChoice nothing = choose_fallback(settings_with(Fallback::database, {}), "gone", kNotInstalled);
  CHECK(nothing.kind == BackendKind::memory);
  CHECK(nothing.warning.starts_with("the data is in memory only"));
}

}  // namespace
}  // namespace larder::config
