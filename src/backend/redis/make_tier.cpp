#include "backend/redis/make_tier.h"

#include <fmt/format.h>

#include "backend/redis/redis_backend.h"

namespace larder::redis {
namespace {

class RedisTier final : public Tier {
 public:
  RedisTier(const Options& options, Keyspace& keyspace) : options_(options), keyspace_(keyspace) {}

  std::unique_ptr<Backend> make_backend(boost::asio::io_context& io, Poller& poller) override {
    statistics_.push_back(std::make_unique<Statistics>());
    return std::make_unique<RedisBackend>(io, poller, options_, keyspace_, *statistics_.back(), health_);
  }

  int first_db() const noexcept override { return static_cast<int>(options_.address.db); }

  BackendReport report() const override;

  void reset_statistics() override {
    for (const auto& statistics : statistics_) statistics->reset();
  }

  void stop() override {}

 private:
  [[nodiscard]] std::string address() const {
    const config::RedisAddress& address = options_.address;
    return address.path.empty() ? fmt::format("redis://{}:{}/{}", address.host, address.port, address.db)
                                : fmt::format("unix://{}?db={}", address.path, address.db);
  }
  [[nodiscard]] std::string state(int lanes_ready) const;
  [[nodiscard]] std::string tracking() const;

  const Options options_;
  Keyspace& keyspace_;
  Health health_;
  std::vector<std::unique_ptr<Statistics>> statistics_;  ///< one a worker; constant once the workers run
};

std::string RedisTier::state(int lanes_ready) const {
  const std::string problem = health_.problem();
  if (!problem.empty()) return "down: " + problem;
  return lanes_ready > 0 ? "connected" : "not connected yet";
}

std::string RedisTier::tracking() const {
  if (!keyspace_.enabled()) return "no: L1 is off";
  const std::string tracking = health_.tracking();
  return tracking.empty() ? "not connected yet" : tracking;
}

BackendReport RedisTier::report() const {
  HistogramSnapshot latency;
  std::uint64_t reconnects = 0, pushes = 0, fills = 0, joined = 0, timeouts = 0;
  std::int64_t in_flight = 0, orphans = 0;
  int lanes_ready = 0;
  for (const auto& one : statistics_) {
    latency.merge(one->latency.snapshot());
    reconnects += one->reconnects.get();
    pushes += one->pushes.get();
    fills += one->fills.get();
    joined += one->joined.get();
    timeouts += one->timeouts.get();
    in_flight += one->in_flight.load(std::memory_order_relaxed);
    orphans += one->orphans.load(std::memory_order_relaxed);
    lanes_ready += one->lanes_ready.load(std::memory_order_relaxed);
  }
  return {{{"backend_address", address()},
           {"backend_state", state(lanes_ready)},
           {"l1_tracked", tracking()},
           {"backend_connections", std::to_string(lanes_ready)},
           {"backend_reconnects", std::to_string(reconnects)},
           {"backend_in_flight", std::to_string(in_flight)},
           {"backend_orphans", std::to_string(orphans)},
           {"backend_timeouts", std::to_string(timeouts)},
           {"backend_pushes", std::to_string(pushes)},
           {"backend_fills", std::to_string(fills)},
           {"backend_joined_reads", std::to_string(joined)},
           {"backend_latency_usec_p50", std::to_string(latency.percentile_us(50))},
           {"backend_latency_usec_p99", std::to_string(latency.percentile_us(99))},
           {"backend_latency_usec_p999", std::to_string(latency.percentile_us(99.9))},
           {"backend_latency_usec_max", std::to_string(latency.max_us)}}};
}

}  // namespace

std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace) {
  return std::make_unique<RedisTier>(options, keyspace);
}

}  // namespace larder::redis
