#include "config/backend_choice.h"

#include <fmt/format.h>

#include "config/postgres_address.h"
#include "config/redis_address.h"
#include "config/secrets.h"

namespace larder::config {
namespace {

/// What the settings ask for, before anybody looked whether it can be had.
struct Wish {
  BackendKind kind;
  std::string why;
};

bool redis_is_named(const Settings& settings) {
  return !settings.redis.url.empty() || !settings.redis.cluster_nodes.empty();
}

/// The nodes of a cluster go before one URL, which may still say how to log in; but for a flag.
bool names_cluster(const Settings& settings) {
  return !settings.redis.cluster_nodes.empty() && !set_by_flag(settings, "redis.url");
}

std::string redis_name(const Settings& settings) {
  return names_cluster(settings) ? "REDIS_CLUSTER_NODES" : name_of(settings, "redis.url");
}

std::string_view environment_words(Environment environment) {
  switch (environment) {
    case Environment::production:
      return "environment is production";
    case Environment::development:
      return "environment is development";
    case Environment::test:
      return "environment is test (a schema of its own)";
    case Environment::unset:
      break;
  }
  return "environment is not set";
}

// An address on the command line is a wish for its backend: nobody types it for nothing. Tests are kept off
// what others use, whatever is set.
Wish wish_of(const Settings& settings) {
  if (settings.backend != BackendKind::automatic)
    return {settings.backend,
            fmt::format("{} is {}", name_of(settings, "backend"), kind_name(settings.backend))};
  const std::string environment(environment_words(settings.environment));
  if (settings.environment == Environment::test) return {BackendKind::postgres, environment};
  if (set_by_flag(settings, "postgres.url")) return {BackendKind::postgres, environment};
  if (set_by_flag(settings, "redis.url")) return {BackendKind::redis, "--redis-url is given"};
  if (settings.environment != Environment::production) return {BackendKind::postgres, environment};
  if (redis_is_named(settings))
    return {BackendKind::redis, fmt::format("{} and {} is set", environment, redis_name(settings))};
  return {BackendKind::postgres, environment + ", REDIS_URL is not set"};
}

std::string reason(BackendKind kind, std::string_view why, std::string_view also) {
  return fmt::format("{}: {}{}", kind_name(kind), why, also);
}

BackendChoice choose_memory(std::string why) {
  return {.kind = BackendKind::memory, .address = {}, .reason = std::move(why), .warning = {}};
}

BackendChoice choose_redis(const Settings& settings, const Wish& wish) {
  const RedisSettings& redis = settings.redis;
  if (!redis_is_named(settings))
    throw ConfigError(
        fmt::format("{}, but no Redis is named: set --redis-url, REDIS_URL or redis.url", wish.why));
  const std::string url = names_cluster(settings) ? cluster_url(redis.cluster_nodes, redis.url) : redis.url;
  BackendChoice choice{
      .kind = BackendKind::redis, .address = url, .reason = reason(wish.kind, wish.why, ""), .warning = {}};
  try {
    const bool tls = parse_redis_target(url).address.tls;
    if (!tls && settings.redis_tls != TlsSettings{})
      choice.warning = fmt::format("[redis.tls] is not used: {} does not say rediss", redis_name(settings));
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", redis_name(settings), error.what()));
  }
  return choice;
}

std::string postgres_address(const Settings& settings) {
  try {
    return parse_postgres_address(settings.postgres.url);
  } catch (const ConfigError& error) {
    throw ConfigError(
        fmt::format("{} is not the address of a PostgreSQL: {}; --backend memory or --backend redis do "
                    "without",
                    name_of(settings, "postgres.url"), error.what()));
  }
}

BackendChoice choose_private_postgres(const Settings& settings, const Wish& wish, BackendChoice choice,
                                      bool possible) {
  if (possible) {
    choice.private_postgres = true;
    choice.reason =
        reason(wish.kind, wish.why, " and no database is named, so Larder runs a private PostgreSQL");
    return choice;
  }
  if (settings.backend == BackendKind::postgres)
    throw ConfigError(
        fmt::format("{}, but no database is named and no PostgreSQL server is installed here: set "
                    "DATABASE_URL, or install the package postgresql",
                    wish.why));
  BackendChoice memory = choose_memory(
      reason(BackendKind::memory, wish.why, ", no database is named and no PostgreSQL server is installed"));
  memory.warning =
      "the data is in memory only and gone when Larder stops: set DATABASE_URL or install PostgreSQL";
  return memory;
}

BackendChoice choose_postgres(const Settings& settings, const Wish& wish, bool binaries_present) {
  const PostgresSettings& postgres = settings.postgres;
  BackendChoice choice{.kind = BackendKind::postgres,
                       .address = {},
                       .schema_per_process = settings.environment == Environment::test,
                       .reason = {},
                       .warning = {}};
  if (!postgres.url.empty()) {
    choice.address = postgres_address(settings);
    choice.reason =
        reason(wish.kind, wish.why, fmt::format(" and {} is set", name_of(settings, "postgres.url")));
    return choice;
  }
  if (!postgres.libpq_variable.empty()) {
    choice.reason = reason(wish.kind, wish.why, fmt::format(" and {} is set", postgres.libpq_variable));
    return choice;
  }
  return choose_private_postgres(settings, wish, std::move(choice), binaries_present);
}

BackendChoice choose(const Settings& settings, bool binaries_present) {
  const Wish wish = wish_of(settings);
  switch (wish.kind) {
    case BackendKind::redis:
      return choose_redis(settings, wish);
    case BackendKind::postgres:
      return choose_postgres(settings, wish, binaries_present);
    default:
      return choose_memory(reason(wish.kind, wish.why, ""));
  }
}

void check_l1(const Settings& settings, BackendKind kind, std::string_view reason) {
  const bool memory = kind == BackendKind::memory;
  if (memory && settings.l1.memory_bytes == 0)
    throw ConfigError(fmt::format("{} is 0, but the memory backend keeps its data there ({})",
                                  name_of(settings, "l1.memory"), reason));
  if (!memory && settings.l1.eviction == Eviction::noeviction)
    throw ConfigError(fmt::format("{} is noeviction, which only the memory backend can do ({})",
                                  name_of(settings, "l1.eviction"), reason));
}

}  // namespace

BackendChoice choose_backend(const Settings& settings, bool postgres_binaries_present) {
  BackendChoice choice = choose(settings, postgres_binaries_present);
  check_l1(settings, choice.kind, choice.reason);
  return choice;
}

BackendChoice choose_fallback(const Settings& settings, std::string_view problem,
                              bool postgres_binaries_present) {
  const std::string why = fmt::format("Redis cannot be reached ({}) and {} names another backend", problem,
                                      name_of(settings, "redis.fallback"));
  BackendChoice choice =
      settings.redis.fallback == Fallback::memory
          ? choose_memory(reason(BackendKind::memory, why, ""))
          : choose_postgres(settings, {BackendKind::postgres, why}, postgres_binaries_present);
  check_l1(settings, choice.kind, choice.reason);
  if (!choice.warning.empty()) choice.warning += "; ";
  choice.warning +=
      fmt::format("Redis cannot be reached ({}): this Larder runs on {} until it is started again", problem,
                  kind_name(choice.kind));
  return choice;
}

std::string_view kind_name(BackendKind kind) noexcept {
  switch (kind) {
    case BackendKind::automatic:
      return "auto";
    case BackendKind::redis:
      return "redis";
    case BackendKind::postgres:
      return "postgres";
    case BackendKind::memory:
      break;
  }
  return "memory";
}

}  // namespace larder::config
