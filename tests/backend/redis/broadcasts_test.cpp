#include "backend/redis/broadcasts.h"

#include <doctest/doctest.h>

using namespace larder;
using redis::Broadcasts;

namespace {

config::RedisAddress node_at(std::uint16_t port) {
  config::RedisAddress address;
  address.host = "h";
  address.port = port;
  return address;
}

}  // namespace

TEST_CASE("broadcasts: they flow while the masters of all workers are heard") {
  Broadcasts broadcasts;
  CHECK_FALSE(broadcasts.flow());
  broadcasts.set_masters(0, {node_at(1), node_at(2)});
  broadcasts.start(broadcasts.version(), 7);
  CHECK(broadcasts.flow());
  CHECK(broadcasts.since_us() == 7);
  broadcasts.set_masters(1, {node_at(2), node_at(1)});  // no others
  CHECK(broadcasts.flow());
  const std::uint32_t before = broadcasts.version();
  broadcasts.set_masters(1, {node_at(3)});
  CHECK_FALSE(broadcasts.flow());
  CHECK(broadcasts.masters() == Broadcasts::Masters{node_at(1), node_at(2), node_at(3)});
  broadcasts.start(before, 8);  // it has not heard of the new one yet
  CHECK_FALSE(broadcasts.flow());
  broadcasts.start(broadcasts.version(), 9);
  CHECK(broadcasts.flow());
  broadcasts.stop();
  CHECK_FALSE(broadcasts.flow());
}
