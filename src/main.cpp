#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <malloc.h>
#include <stdexcept>
#include <vector>

#include <fmt/core.h>

#include "backend/memory/make_tier.h"
#include "backend/postgres/make_tier.h"
#include "backend/postgres/private_server.h"
#include "backend/redis/make_tier.h"
#include "backend/redis/reachability.h"
#include "base/log.h"
#include "command/limits.h"
#include "config/backend_choice.h"
#include "config/describe.h"
#include "config/load.h"
#include "config/redis_address.h"
#include "io/tls_context.h"
#include "keyspace/keyspace.h"
#include "server/live_settings.h"
#include "server/server.h"

namespace larder {
namespace {

/// Errors: std::runtime_error that names the key and where it stands.
std::shared_ptr<TlsContext> make_tls(const config::Settings& settings, std::string_view section,
                                     TlsOptions options) {
  try {
    return std::make_shared<TlsContext>(std::move(options));
  } catch (const TlsError& error) {
    const std::string key = fmt::format("{}.{}", section, error.key());
    throw std::runtime_error(fmt::format("{} {}", config::name_of(settings, key), error.what()));
  }
}

/// How Larder speaks TLS with Redis.
std::shared_ptr<TlsContext> redis_tls(const config::Settings& settings) {
  constexpr PeerCheck kChecks[] = {PeerCheck::name, PeerCheck::certificate, PeerCheck::none};
  return make_tls(settings, "redis.tls",
                  {.role = TlsOptions::Role::client,
                   .check = kChecks[static_cast<int>(settings.redis.tls_verify)],
                   .settings = settings.redis_tls,
                   .server_name = settings.redis.tls_server_name});
}

/// How clients speak TLS with Larder; null: they do not.
std::shared_ptr<TlsContext> client_tls(const config::Settings& settings) {
  if (!settings.server.tls_port) return nullptr;
  const bool has_ca = !settings.tls.ca_cert_file.empty() || !settings.tls.ca_cert_dir.empty();
  const PeerCheck checks[] = {has_ca ? PeerCheck::certificate : PeerCheck::none, PeerCheck::none,
                              PeerCheck::optional, PeerCheck::certificate};
  return make_tls(settings, "tls",
                  {.role = TlsOptions::Role::server,
                   .check = checks[static_cast<int>(settings.server.tls_auth_clients)],
                   .settings = settings.tls,
                   .handshake_timeout = settings.server.tls_handshake_timeout});
}

redis::Options redis_options(const config::Settings& settings, const config::BackendChoice& choice) {
  const config::RedisTarget target = config::parse_redis_target(choice.address);
  const config::RedisAddress& address = target.address;
  if (address.db >= settings.server.databases)
    throw std::runtime_error(fmt::format("redis.url names database {}, but server.databases is {}",
                                         address.db, settings.server.databases));
  redis::Options options{.address = address,
                         .more_seeds = target.more_seeds,
                         .must_be_cluster = target.is_cluster,
                         .tls = address.tls ? redis_tls(settings) : nullptr,
                         .sentinels = {.nodes = target.sentinels,
                                       .master_name = target.master_name,
                                       .user = settings.redis.sentinel_user,
                                       .password = settings.redis.sentinel_password},
                         .connect_timeout = settings.redis.connect_timeout,
                         .private_connections = static_cast<int>(settings.redis.private_connections),
                         .reads_from_replicas = settings.redis.read_from == config::ReadFrom::replica,
                         .tag_prefix = settings.redis.tag_prefix};
  redis::adopt(options, settings);
  return options;
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
          // Two keep PostgreSQL busy while the worker is; several workers do that by themselves.
          .lanes = config::worker_count(settings.server) == 1 ? 2 : 1,
          .connect_timeout = settings.postgres.connect_timeout,
          .command_timeout = settings.postgres.command_timeout};
}

/// Whose certificates SIGHUP reads again.
using TlsContexts = std::vector<std::shared_ptr<TlsContext>>;

std::unique_ptr<Tier> make_redis_tier(const redis::Options& options, Keyspace& keyspace,
                                      TlsContexts& contexts) {
  if (options.tls != nullptr) contexts.push_back(options.tls);
  return redis::make_tier(options, keyspace);
}

std::unique_ptr<Tier> make_tier(const config::Settings& settings, const config::BackendChoice& choice,
                                Keyspace& keyspace, TlsContexts& contexts) {
  switch (choice.kind) {
    case config::BackendKind::postgres:
      return postgres::make_tier(postgres_options(settings, choice), keyspace);
    case config::BackendKind::redis:
      return make_redis_tier(redis_options(settings, choice), keyspace, contexts);
    default:
      return memory::make_tier(keyspace);
  }
}

/// Redis if it can be reached, or whatever goes in its place.
config::BackendChoice settle(const config::Settings& settings, const config::BackendChoice& choice) {
  if (choice.kind != config::BackendKind::redis || settings.redis.fallback == config::Fallback::none)
    return choice;
  const std::string problem = redis::find_problem(redis_options(settings, choice));
  if (problem.empty()) return choice;
  return config::choose_fallback(settings, problem, postgres::find_server_programs().has_value());
}

/// The settings that the command line, the environment and the file make, checked as at the start.
using ReadSettings = std::function<config::Settings()>;

void serve(const config::Settings& settings, const config::BackendChoice& choice, ReadSettings read_again) {
  log::info("larder {} starts; {}", LARDER_VERSION, choice.reason);
  if (!choice.warning.empty()) log::warning("{}", choice.warning);
  Keyspace keyspace({.budget_bytes = settings.l1.memory_bytes,
                     .eviction = eviction_of(settings.l1.eviction),
                     .databases = static_cast<int>(settings.server.databases)});
  TlsContexts contexts;
  const std::unique_ptr<Tier> tier = make_tier(settings, choice, keyspace, contexts);
  const std::shared_ptr<TlsContext> for_clients = client_tls(settings);
  if (for_clients != nullptr) contexts.push_back(for_clients);
  Server server(settings, choice, keyspace, *tier, for_clients);
  server.read_settings_again = [contexts, read = std::move(read_again)] {
    config::Settings fresh = read();
    for (const auto& context : contexts) context->reload();
    return fresh;
  };
  server.run();
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
    static_cast<void>(client_tls(settings));
    if (choice.kind == config::BackendKind::redis) static_cast<void>(redis_options(settings, choice));
    fmt::print("{}", config::describe(settings, choice));
    return 0;
  }
  log::set_level(settings.log_level);
  command_limits = {static_cast<int>(settings.server.databases), settings.server.max_bulk_bytes};
  std::signal(SIGPIPE, SIG_IGN);
  serve(settings, settle(settings, choice), [argc, argv] {
    config::Settings fresh = config::load(argc, argv, config::process_variables());
    static_cast<void>(config::choose_backend(fresh, postgres::find_server_programs().has_value()));
    return fresh;
  });
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
