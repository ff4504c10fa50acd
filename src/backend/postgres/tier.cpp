#include <optional>
#include <stdexcept>

#include <fmt/core.h>

#include "backend/postgres/backend.h"
#include "backend/postgres/make_tier.h"
#include "backend/postgres/private_server.h"
#include "backend/postgres/schema.h"
#include "backend/postgres/upkeep.h"
#include "base/log.h"

namespace larder::postgres {
namespace {

/// Host, port and database as libpq understood them; never user name or password.
std::string describe_address(PGconn* connection) {
  const char* host = PQhost(connection);
  return fmt::format("{}:{}/{}", host == nullptr ? "" : host, PQport(connection), PQdb(connection));
}

class PostgresTier final : public Tier {
 public:
  PostgresTier(const Options& options, Keyspace& keyspace)
      : server_(options.private_server ? std::make_unique<PrivateServer>(options.data_dir) : nullptr),
        shared_(std::make_unique<Shared>(complete(options, server_.get()), keyspace)) {
    prepare();
    upkeep_.emplace(*shared_);
    upkeep_->start();
    if (keyspace.enabled()) shared_->coherence.start();
  }

  ~PostgresTier() { stop(); }

  std::unique_ptr<Backend> make_backend(boost::asio::io_context& io, Poller& poller) override {
    return std::make_unique<PostgresBackend>(io, poller, *shared_);
  }

  BackendReport report() const override;
  void reset_statistics() override { shared_->statistics.reset(); }
  void stop() override;

 private:
  static Options complete(Options options, const PrivateServer* server);
  void prepare();

  std::unique_ptr<PrivateServer> server_;
  std::unique_ptr<Shared> shared_;
  std::optional<Upkeep> upkeep_;
  std::string address_, version_;
  bool stopped_ = false;
};

Options PostgresTier::complete(Options options, const PrivateServer* server) {
  if (server != nullptr) options.conninfo = server->conninfo();
  if (options.schema_per_process) options.schema = new_test_schema_name();
  if (!is_valid_schema_name(options.schema))
    throw std::runtime_error(fmt::format(
        "postgres.schema \"{}\": allowed are up to 40 of a-z, 0-9 and _, not starting with a digit or pg_",
        options.schema));
  return options;
}

void PostgresTier::prepare() {
  const Options& options = shared_->options;
  BlockingSession session(options, SessionUse::upkeep);
  if (options.schema_per_process) reap_test_schemas(session);
  prepare_schema(session, options);
  shared_->clock_offset_ms = measure_clock_offset_ms(session);
  address_ = describe_address(session.raw());
  version_ = PQparameterStatus(session.raw(), "server_version");
  log::info("postgres: {} at {}, schema {}, {}", version_, address_, options.schema,
            options.durability == Durability::durable ? "durable" : "unlogged");
}

BackendReport PostgresTier::report() const {
  const Options& options = shared_->options;
  const Coherence& coherence = shared_->coherence;
  const Statistics& statistics = shared_->statistics;
  const HistogramSnapshot latency = statistics.latency.snapshot(), sizes = statistics.batch_size.snapshot();
  BackendReport report;
  const auto add = [&report](const char* name, auto value) {
    report.fields.emplace_back(name, fmt::format("{}", value));
  };
  add("postgres_address", address_);
  add("postgres_version", version_);
  add("postgres_private", server_ != nullptr ? 1 : 0);
  add("postgres_schema", options.schema);
  add("postgres_durability", options.durability == Durability::durable ? "durable" : "unlogged");
  add("postgres_coherence", coherence.state());
  add("postgres_peers", coherence.peers());
  add("postgres_notify", coherence.peers() > 0 ? "on" : "off");
  add("postgres_clock_offset_ms", shared_->clock_offset_ms.load());
  add("postgres_batches", statistics.batches.load());
  add("postgres_batch_commands_p50", sizes.percentile_us(50));
  add("postgres_batch_commands_p99", sizes.percentile_us(99));
  add("postgres_conflicts", statistics.conflicts.load());
  add("postgres_failures", statistics.failures.load());
  add("postgres_lost_connections", statistics.lost_connections.load());
  add("postgres_expired_rows_swept", statistics.swept.load());
  add("tags_pending_invalidations", shared_->pending.size());
  add("backend_latency_usec_p50", latency.percentile_us(50));
  add("backend_latency_usec_p99", latency.percentile_us(99));
  add("backend_latency_usec_p999", latency.percentile_us(99.9));
  add("backend_latency_usec_max", latency.max_us);
  return report;
}

void PostgresTier::stop() {
  if (std::exchange(stopped_, true)) return;
  upkeep_.reset();
  shared_->coherence.stop();
  shared_->dialer.stop();
  if (shared_->options.schema_per_process) {
    try {
      BlockingSession session(shared_->options, SessionUse::upkeep);
      drop_schema(session, shared_->options.schema);
    } catch (const SqlError& error) {
      log::warning("postgres: schema {} is left behind: {}", shared_->options.schema, error.what());
    }
  }
  if (server_) server_->stop();
}

}  // namespace

std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace) {
  try {
    return std::make_unique<PostgresTier>(options, keyspace);
  } catch (const SqlError& error) {
    throw std::runtime_error(fmt::format("PostgreSQL cannot be used: {}", error.what()));
  }
}

}  // namespace larder::postgres
