#include "backend/redis/node_report.h"

#include <algorithm>

#include <fmt/format.h>

namespace larder::redis {
namespace {

std::string_view name_of(Role role) noexcept {
  switch (role) {
    case Role::master:
      return "master";
    case Role::replica:
      return "replica";
    case Role::other:
      break;
  }
  return "unknown";
}

std::string_view name_of(Breaker::State state) noexcept {
  switch (state) {
    case Breaker::State::open:
      return "open";
    case Breaker::State::half_open:
      return "half-open";
    case Breaker::State::closed:
      break;
  }
  return "closed";
}

/// How bad it is: a probe is better than none.
int badness(Breaker::State state) noexcept {
  return state == Breaker::State::open ? 2 : state == Breaker::State::half_open ? 1 : 0;
}

}  // namespace

void NodeReport::add(const NodeStatistics& of_worker) {
  NodeReport other;
  other.latency = of_worker.latency.snapshot();
  other.requests = of_worker.requests.get();
  other.errors = of_worker.errors.get();
  other.lost = of_worker.lost.get();
  other.timeouts = of_worker.timeouts.get();
  other.breaker_openings = of_worker.breaker_openings;
  other.in_flight = of_worker.in_flight;
  other.connections = of_worker.connections;
  other.slots = of_worker.slots;
  other.role = of_worker.role;
  other.breaker = of_worker.breaker;
  add(other);
}

void NodeReport::add(const NodeReport& other) {
  latency.merge(other.latency);
  requests += other.requests;
  errors += other.errors;
  lost += other.lost;
  timeouts += other.timeouts;
  breaker_openings += other.breaker_openings;
  in_flight += other.in_flight;
  connections += other.connections;
  slots = std::max(slots, other.slots);
  if (role == Role::other) role = other.role;
  if (badness(other.breaker) > badness(breaker)) breaker = other.breaker;
}

NodeReports report_nodes(const std::vector<std::unique_ptr<Statistics>>& workers) {
  NodeReports reports;
  for (const auto& worker : workers)
    worker->for_each_node(
        [&](const std::string& label, const NodeStatistics& node) { reports[label].add(node); });
  return reports;
}

std::vector<std::pair<std::string, std::string>> lines_of(const NodeReports& reports) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [label, node] : reports) {
    // A seed under another name than the cluster's, or a node that has left it.
    if (node.role == Role::other && node.connections == 0 && node.breaker == Breaker::State::closed) continue;
    lines.emplace_back(
        fmt::format("node{}", lines.size()),
        fmt::format(
            "address={},role={},slots={},connections={},breaker={},breaker_openings={},in_flight={},"
            "requests={},errors={},lost={},timeouts={},p50_usec={},p99_usec={},p999_usec={},max_usec={}",
            label, name_of(node.role), node.slots, node.connections, name_of(node.breaker),
            node.breaker_openings, node.in_flight, node.requests, node.errors, node.lost, node.timeouts,
            node.latency.percentile_us(50), node.latency.percentile_us(99), node.latency.percentile_us(99.9),
            node.latency.max_us));
  }
  return lines;
}

}  // namespace larder::redis
