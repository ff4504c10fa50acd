#include "backend/redis/make_tier.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "backend/redis/node_report.h"
#include "backend/redis/redis_backend.h"

namespace larder::redis {
namespace {

std::string sentinel_address(const Options& options) {
  std::string nodes;
  for (const auto& [host, port] : options.sentinels.nodes)
    nodes += fmt::format("{}{}:{}", nodes.empty() ? "" : ",", host, port);
  return fmt::format("{}-sentinel://{}/{}/{}", options.address.tls ? "rediss" : "redis", nodes,
                     options.sentinels.master_name, options.address.db);
}

class RedisTier final : public Tier {
 public:
  RedisTier(const Options& options, Keyspace& keyspace)
      : options_(options), keyspace_(keyspace), tags_(options.tag_prefix) {
    keyspace.tracked().leave_broadcasts();
  }

  std::unique_ptr<Backend> make_backend(boost::asio::io_context& io, Poller& poller) override {
    const RedisBackend::Shared shared{options_, keyspace_, health_,         view_,       master_,
                                      scripts_, tags_,     private_counts_, broadcasts_, statistics_.size()};
    statistics_.push_back(std::make_unique<Statistics>());
    return std::make_unique<RedisBackend>(io, poller, shared, *statistics_.back());
  }

  int first_db() const noexcept override { return static_cast<int>(options_.address.db); }

  bool is_cluster() const noexcept override { return view_.is_cluster; }

  BackendReport report() const override;

  void reset_statistics() override {
    for (const auto& statistics : statistics_) statistics->reset();
  }

  void stop() override {}

 private:
  [[nodiscard]] std::string address() const {
    const config::RedisAddress& address = options_.address;
    const char* const scheme = address.tls ? "rediss" : "redis";
    if (!options_.sentinels.nodes.empty()) return sentinel_address(options_);
    if (view_.is_cluster) return fmt::format("{}-cluster://{}:{}", scheme, address.host, address.port);
    return address.path.empty() ? fmt::format("{}://{}:{}/{}", scheme, address.host, address.port, address.db)
                                : fmt::format("unix://{}?db={}", address.path, address.db);
  }
  [[nodiscard]] std::string state(int lanes_ready) const;
  [[nodiscard]] std::string tracking() const;
  [[nodiscard]] std::string broadcasts() const;
  void report_cluster(BackendReport& report) const;
  void report_sentinels(BackendReport& report) const;
  void report_tags(BackendReport& report) const;

  const Options options_;
  Keyspace& keyspace_;
  Health health_;
  ClusterView view_;
  MasterView master_;
  Scripts scripts_;
  TagState tags_;
  PrivateCounts private_counts_;
  Broadcasts broadcasts_;
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

std::string RedisTier::broadcasts() const {
  if (!keyspace_.tracked().anyone_wants_all()) return "off";
  if (broadcasts_.flow()) return "heard";
  const std::string why = broadcasts_.obstacle().text;
  return why.empty() ? "not heard" : "not heard: " + why;
}

BackendReport RedisTier::report() const {
  std::uint64_t reconnects = 0, retries = 0, pushes = 0, fills = 0, joined = 0, stale_served = 0,
                observed_hits = 0, observed_misses = 0, replica_reads = 0;
  std::int64_t orphans = 0;
  for (const auto& one : statistics_) {
    reconnects += one->reconnects.get();
    retries += one->retries.get();
    pushes += one->pushes.get();
    fills += one->fills.get();
    joined += one->joined.get();
    stale_served += one->stale_served.get();
    observed_hits += one->observed_hits.get();
    observed_misses += one->observed_misses.get();
    replica_reads += one->replica_reads.get();
    orphans += one->orphans.load(std::memory_order_relaxed);
  }
  const NodeReports nodes = report_nodes(statistics_);
  NodeReport all;
  for (const auto& [label, node] : nodes) all.add(node);
  BackendReport report{{{"backend_address", address()},
                        {"backend_state", state(all.connections)},
                        {"l1_tracked", tracking()},
                        {"tracking_broadcasts", broadcasts()},
                        {"backend_connections", std::to_string(all.connections)},
                        {"backend_private_in_use", std::to_string(private_counts_.in_use)},
                        {"backend_private_idle", std::to_string(private_counts_.idle)},
                        {"backend_reconnects", std::to_string(reconnects)},
                        {"backend_sent_again", std::to_string(retries)},
                        {"backend_in_flight", std::to_string(all.in_flight)},
                        {"backend_orphans", std::to_string(orphans)},
                        {"backend_timeouts", std::to_string(all.timeouts)},
                        {"backend_breaker_openings", std::to_string(all.breaker_openings)},
                        {"backend_pushes", std::to_string(pushes)},
                        {"backend_fills", std::to_string(fills)},
                        {"backend_joined_reads", std::to_string(joined)},
                        {"backend_replica_reads", std::to_string(replica_reads)},
                        {"l1_stale_served", std::to_string(stale_served)},
                        {"l1_observed_hits", std::to_string(observed_hits)},
                        {"l1_observed_misses", std::to_string(observed_misses)},
                        {"backend_latency_usec_p50", std::to_string(all.latency.percentile_us(50))},
                        {"backend_latency_usec_p99", std::to_string(all.latency.percentile_us(99))},
                        {"backend_latency_usec_p999", std::to_string(all.latency.percentile_us(99.9))},
                        {"backend_latency_usec_max", std::to_string(all.latency.max_us)}},
                       lines_of(nodes)};
  report_tags(report);
  if (view_.is_cluster) report_cluster(report);
  if (!options_.sentinels.nodes.empty()) report_sentinels(report);
  return report;
}

void RedisTier::report_cluster(BackendReport& report) const {
  std::uint64_t refreshes = 0, moved = 0, ask = 0;
  for (const auto& one : statistics_) {
    refreshes += one->refreshes.get();
    moved += one->moved.get();
    ask += one->ask.get();
  }
  for (const auto& [name, number] : {std::pair<const char*, std::uint64_t>{"cluster_masters", view_.masters},
                                     {"cluster_replicas", view_.replicas},
                                     {"cluster_slots_covered", view_.slots_covered},
                                     {"cluster_topology_refreshes", refreshes},
                                     {"cluster_moved", moved},
                                     {"cluster_ask", ask}})
    report.fields.emplace_back(name, std::to_string(number));
}

void RedisTier::report_tags(BackendReport& report) const {
  const std::uint64_t seen = tags_.seen, orphans = tags_.orphans;
  const double ratio = seen == 0 ? 0 : static_cast<double>(orphans) / static_cast<double>(seen);
  for (const auto& [name, value] : {std::pair<const char*, std::string>{"tags_pending_invalidations",
                                                                        std::to_string(tags_.pending.size())},
                                    {"tags_running_sweeps", std::to_string(tags_.running)},
                                    {"tags_sweep_steps", std::to_string(tags_.steps)},
                                    {"tags_dropped_keys", std::to_string(tags_.dropped)},
                                    {"tags_taken_over", std::to_string(tags_.taken_over)},
                                    {"tags_pruned_orphans", std::to_string(tags_.pruned)},
                                    {"tags_orphan_ratio", fmt::format("{:.4f}", ratio)}})
    report.fields.emplace_back(name, value);
  tags_.long_sweeps.for_each([&, number = 0](const TagProgress& sweep) mutable {
    report.fields.emplace_back(
        fmt::format("tags_sweep_{}", number++),
        fmt::format("doing={},db={},tags={},{}={},looked_at={},left={},slots_left={},seconds={:.1f}",
                    sweep.doing, sweep.db, in_line(sweep.query),
                    sweep.doing == ByteView("count") ? "counted" : "dropped", sweep.dropped.load(),
                    sweep.looked_at.load(), sweep.left.load(), sweep.slots_left.load(),
                    static_cast<double>(steady_now_us() - sweep.began_us) / 1e6));
  });
  if (view_.is_cluster)
    report.fields.emplace_back("tags_directory_trusted", tags_.directory.is_trusted() ? "1" : "0");
}

void RedisTier::report_sentinels(BackendReport& report) const {
  const std::optional<Endpoint> master = master_.state().master;
  for (const auto& [name, value] :
       {std::pair<const char*, std::string>{
            "sentinel_master", master ? fmt::format("{}:{}", master->host, master->port) : "unknown"},
        {"sentinel_connected", fmt::format("{} of {}", master_.connected(), options_.sentinels.nodes.size())},
        {"sentinel_switches", std::to_string(master_.switches())}})
    report.fields.emplace_back(name, value);
}

L1Options l1_options(const config::L1Settings& settings) {
  L1Options options{.untracked_ttl = settings.untracked_ttl,
                    .max_ttl = settings.max_ttl,
                    .negative_ttl = settings.negative_ttl,
                    .stale_on_error = settings.stale_on_error,
                    .ttl_jitter_percent = settings.ttl_jitter_percent};
  const auto add = [&options](const std::vector<std::string>& prefixes, Treatment treatment) {
    for (const std::string& prefix : prefixes) options.rules.push_back({prefix, treatment});
  };
  add(settings.cache, Treatment::cache);
  add(settings.observe, Treatment::observe);
  add(settings.deny, Treatment::deny);
  return options;
}

}  // namespace

void adopt(Options& options, const config::Settings& settings) {
  const config::RedisSettings& redis = settings.redis;
  options.command_timeout = redis.command_timeout;
  options.ping_interval = redis.ping_interval;
  options.ping_timeout = redis.ping_timeout;
  options.breaker = {.failures = redis.breaker_failures,
                     .window = redis.breaker_window,
                     .pause = redis.breaker_pause,
                     .patience = redis.ping_timeout};
  options.most_in_flight_bytes = redis.most_in_flight_bytes;
  options.l1 = l1_options(settings.l1);
}

std::unique_ptr<Tier> make_tier(const Options& options, Keyspace& keyspace) {
  return std::make_unique<RedisTier>(options, keyspace);
}

}  // namespace larder::redis
