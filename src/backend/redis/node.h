#pragma once

#include <memory>
#include <vector>

#include "backend/redis/lane.h"

namespace larder::redis {

/// One Redis server as a worker sees it: its address, its state and the connections to it.
///
/// A connection has one protocol and one database, so there may be one for each pair; all are opened on first
/// use and kept.
///
/// Life:   as long as its worker: an L1 entry may rest on the word of a node that is gone.
/// Thread: one worker; `health` is shared with the others.
class Node final {
 public:
  Node(const NodeContext& context, config::RedisAddress address, Health& health);

  /// The shared connection for requests in `protocol` on `db`. With L1 on, the RESP3 one hears of changes.
  Lane& lane(Protocol protocol, int db);

  [[nodiscard]] const config::RedisAddress& address() const noexcept { return address_; }

  void tick(std::int64_t now_us);
  [[nodiscard]] bool is_quiet() const noexcept;
  void close();

 private:
  const config::RedisAddress address_;
  const LaneContext context_;
  std::vector<std::unique_ptr<Lane>> lanes_;  ///< by protocol and database; null until used
};

}  // namespace larder::redis
