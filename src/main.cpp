#include <csignal>
#include <cstdio>
#include <exception>
#include <malloc.h>
#include <stdexcept>

#include <fmt/core.h>

#include "backend/memory/make_tier.h"
#include "backend/postgres/make_tier.h"
#include "backend/postgres/private_server.h"
#include "backend/redis/make_tier.h"
#include "base/log.h"
#include "command/limits.h"
#include "config/backend_choice.h"
#include "config/describe.h"
#include "config/load.h"
#include "config/redis_address.h"
#include "keyspace/keyspace.h"
#include "server/server.h"

namespace larder {
namespace {

Eviction eviction_of(config::Eviction setting) {
  switch (setting) {
    case config::Eviction::lru:
      return Eviction::lru;
    case config::Eviction::noeviction:
      return Eviction::none;
    case config::Eviction::s3fifo:
      break;
  }
  return Eviction::s3fifo;
}

redis::Options redis_options(const config::Settings& settings, const config::BackendChoice& choice) {
  const config::RedisAddress address = config::parse_redis_url(choice.address);
  if (address.db >= settings.server.databases)
    throw std::runtime_error(fmt::format("redis.url names database {}, but server.databases is {}",
                                         address.db, settings.server.databases));
  return {.address = address,
          .connect_timeout = settings.redis.connect_timeout,
          .command_timeout = settings.redis.command_timeout,
          .ping_interval = settings.redis.ping_interval,
          .ping_timeout = settings.redis.ping_timeout,
          .untracked_ttl = settings.l1.untracked_ttl};
}

postgres::Options postgres_options(const config::Settings& settings, const config::BackendChoice& choice) {
  return {.conninfo = choice.address,
          .schema = settings.postgres.schema,
          .durability = settings.postgres.durability == config::Durability::durable
                            ? postgres::Durability::durable
                            : postgres::Durability::unlogged,
          .schema_per_process = choice.schema_per_process,
          .private_server = choice.private_postgres,
          .data_dir = settings.postgres.data_dir,
          .databases = static_cast<int>(settings.server.databases),
          .connect_timeout = settings.postgres.connect_timeout,
          .command_timeout = settings.postgres.command_timeout};
}

std::unique_ptr<Tier> make_tier(const config::Settings& settings, const config::BackendChoice& choice,
                                Keyspace& keyspace) {
  switch (choice.kind) {
    case config::BackendKind::postgres:
      return postgres::make_tier(postgres_options(settings, choice), keyspace);
    case config::BackendKind::redis:
      return redis::make_tier(redis_options(settings, choice), keyspace);
    default:
      return memory::make_tier(keyspace);
  }
}

void serve(const config::Settings& settings, const config::BackendChoice& choice) {
  log::info("larder {} starts; {}", LARDER_VERSION, choice.reason);
  if (!choice.warning.empty()) log::warning("{}", choice.warning);
  Keyspace keyspace({.budget_bytes = settings.l1.memory_bytes,
                     .eviction = eviction_of(settings.l1.eviction),
                     .databases = static_cast<int>(settings.server.databases)});
  const std::unique_ptr<Tier> tier = make_tier(settings, choice, keyspace);
  Server(settings, choice, keyspace, *tier).run();
  tier->stop();
  log::info("stopped");
}

int run(int argc, char** argv) {
  const config::Settings settings = config::load(argc, argv, config::process_variables());
  switch (settings.task) {
    case config::Settings::Task::print_help:
      fmt::print("{}", config::help_text());
      return 0;
    case config::Settings::Task::print_version:
      fmt::print("larder {}\n", LARDER_VERSION);
      return 0;
    default:
      break;
  }
  const config::BackendChoice choice =
      config::choose_backend(settings, postgres::find_server_programs().has_value());
  if (settings.task == config::Settings::Task::check_config) {
    fmt::print("{}", config::describe(settings, choice));
    return 0;
  }
  log::set_level(settings.log_level);
  command_limits = {static_cast<int>(settings.server.databases), settings.server.max_bulk_bytes};
  std::signal(SIGPIPE, SIG_IGN);
  serve(settings, choice);
  return 0;
}

}  // namespace
}  // namespace larder

int main(int argc, char** argv) {
  try {
    return larder::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "larder: {}\n", error.what());
    return 1;
  }
}
