#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/redis/statistics.h"

namespace larder::redis {

/// One node as all workers together see it.
struct NodeReport {
  HistogramSnapshot latency;
  std::uint64_t requests = 0, errors = 0, lost = 0, timeouts = 0, breaker_openings = 0;
  std::int64_t in_flight = 0;
  int connections = 0, slots = 0;
  Role role = Role::other;
  Breaker::State breaker = Breaker::State::closed;  ///< of the worker that fares worst

  void add(const NodeStatistics& of_worker);
  void add(const NodeReport& other);
};

using NodeReports = std::map<std::string, NodeReport>;

/// By node, in words.
[[nodiscard]] NodeReports report_nodes(const std::vector<std::unique_ptr<Statistics>>& workers);

/// INFO's `# Nodes`: names and values of its lines, of nodes that are in use.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> lines_of(const NodeReports& reports);

}  // namespace larder::redis
