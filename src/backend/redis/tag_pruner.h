#pragma once

#include <cstdint>

#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// Forgets, a few records at a time, what is known of the tags of keys that are gone.
///
/// Life: it is a caller. Thread: one worker.
class TagPruner final : public OwnCaller {
 public:
  /// Of a cluster's slots it has every `share`th, from the `first` on; elsewhere the first one has all.
  TagPruner(TagState& state, const Topology& topology, TagHost& host, std::size_t first, std::size_t share)
      : state_(state), topology_(topology), host_(host), slot_(first), first_(first), share_(share) {}

  void tick(std::int64_t now_us);
  void finish(Ticket) override { take(); }

 private:
  [[nodiscard]] bool find_db();
  [[nodiscard]] bool find_slot();
  [[nodiscard]] bool ask_step();
  void take();
  [[nodiscard]] bool is_sweeping() const noexcept {
    return state_.running.load(std::memory_order_relaxed) > 0;
  }

  TagState& state_;
  const Topology& topology_;
  TagHost& host_;
  std::size_t slot_;
  const std::size_t first_, share_;
  Bytes cursor_ = "0";
  bool busy_ = false, saw_sweep_ = false;
  std::int64_t next_us_ = 0;
};

}  // namespace larder::redis
