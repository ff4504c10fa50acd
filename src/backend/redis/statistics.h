#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "backend/redis/breaker.h"
#include "base/counter.h"
#include "base/histogram.h"
#include "keyspace/keyspace.h"

namespace larder::redis {

/// What a node is for.
enum class Role : std::uint8_t {
  other,  ///< nothing (any more), or not known yet
  master,
  replica,
};

/// What one worker knows of one node. Thread: written by its worker, read and reset by any.
struct NodeStatistics {
  Histogram latency;
  Counter requests, errors, lost, timeouts;
  std::atomic<std::int64_t> in_flight{0};
  std::atomic<int> connections{0};
  std::atomic<Role> role{Role::other};
  std::atomic<int> slots{0};
  std::atomic<Breaker::State> breaker{Breaker::State::closed};
  std::atomic<std::uint64_t> breaker_openings{0};

  void reset() noexcept {
    latency.reset();
    for (Counter* counter : {&requests, &errors, &lost, &timeouts}) counter->reset();
  }
};

/// What one worker's backend counts. Thread: written by its worker, read and reset by any.
class Statistics {
 public:
  Counter reconnects, retries, pushes, fills, joined, stale_served, observed_hits, observed_misses;
  Counter refreshes, moved, ask;  ///< in a cluster
  Counter replica_reads;
  std::atomic<std::int64_t> orphans{0};

  /// Life: of this; a node once known stays.
  [[nodiscard]] NodeStatistics& of_node(const std::string& label) {
    const std::lock_guard lock(mutex_);
    return nodes_[label];
  }

  template <class Visit>
  void for_each_node(Visit visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [label, node] : nodes_) visit(label, node);
  }

  void reset() noexcept {
    for (Counter* counter : {&reconnects, &retries, &pushes, &fills, &joined, &stale_served, &observed_hits,
                             &observed_misses, &refreshes, &moved, &ask, &replica_reads})
      counter->reset();
    const std::lock_guard lock(mutex_);
    for (auto& [label, node] : nodes_) node.reset();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, NodeStatistics> nodes_;  ///< by label
};

/// The cluster as the worker that looked last saw it; shared by all workers.
struct ClusterView {
  std::atomic<bool> is_cluster{false};
  std::atomic<int> masters{0}, replicas{0}, slots_covered{0};
};

/// How the upstream is, in words; shared by all workers.
class Health {
 public:
  /// Both tell whether that is news: it is logged once, whichever of many connections notices first.
  bool set_problem(const std::string& node, std::string text) {
    const std::lock_guard lock(mutex_);
    std::string& known = problems_[node];
    if (known == text) return false;
    known = std::move(text);
    return true;
  }

  /// The workers' connections to a node, as L1 names them.
  void add_source(const std::string& node, SourceId source) {
    const std::lock_guard lock(mutex_);
    sources_[node].push_back(source);
  }
  [[nodiscard]] std::vector<SourceId> sources_of(const std::string& node) const {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(node);
    return found == sources_.end() ? std::vector<SourceId>() : found->second;
  }

  bool set_tracking(std::string text) { return set(tracking_, std::move(text)); }

  /// Of the first node that has one.
  [[nodiscard]] std::string problem() const {
    const std::lock_guard lock(mutex_);
    for (const auto& [node, problem] : problems_)
      if (!problem.empty()) return problems_.size() == 1 ? problem : node + ": " + problem;
    return {};
  }

  /// The node is no longer needed: its problem is none of ours.
  void forget(const std::string& node) {
    const std::lock_guard lock(mutex_);
    problems_.erase(node);
  }
  [[nodiscard]] std::string tracking() const { return get(tracking_); }

 private:
  bool set(std::string& field, std::string text) {
    const std::lock_guard lock(mutex_);
    if (field == text) return false;
    field = std::move(text);
    return true;
  }
  [[nodiscard]] std::string get(const std::string& field) const {
    const std::lock_guard lock(mutex_);
    return field;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::string>
      problems_;  ///< by node: why there is no connection; empty when there is one
  std::map<std::string, std::vector<SourceId>> sources_;
  std::string tracking_;  ///< "yes", or "no: why"
};

}  // namespace larder::redis
