#pragma once

#include <string>
#include <utility>

#include "backend/redis/lane.h"

namespace larder::redis {

/// A connection that is no node's: no client's request goes over it, and it is tried for as long as it takes.
///
/// Life: of its owner; `context`, `health` and `orders` outlive it.
struct LoneLane {
  struct Terms {
    std::string label;  ///< what it leads to, in words
    Lane::Purpose purpose;
    std::string_view password_setting = "redis.url";
  };

  LoneLane(const NodeContext& worker, config::RedisAddress at, Health& health, const Orders& orders,
           const Terms& terms)
      : address(std::move(at)),
        context{worker,  address, terms.label, worker.statistics.of_node(terms.label),
                breaker, health,  orders,      terms.password_setting},
        lane(context, terms.purpose) {}

  const config::RedisAddress address;
  static constexpr BreakerOptions kNeverOpens{.failures = 0};
  Breaker breaker{kNeverOpens};
  const LaneContext context;
  Lane lane;
};

}  // namespace larder::redis
