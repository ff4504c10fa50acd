#include "config/nearest.h"

#include <array>

#include <doctest/doctest.h>

namespace larder::config {
namespace {

TEST_CASE("nearest: finds the name that was meant, also in another section") {
  constexpr std::array<std::string_view, 6> kNames{"server.port", "server.timeout",        "l1.memory",
                                                   "l1.eviction", "redis.command_timeout", "--port"};
  struct Case {
    std::string_view mistyped, nearest;
  };
  constexpr std::array kCases{
      Case{"server.prot", "server.port"},
      Case{"port", "server.port"},
      Case{"srever.port", "server.port"},
      Case{"l1.memroy", "l1.memory"},
      Case{"memory", "l1.memory"},
      Case{"redis.commandtimeout", "redis.command_timeout"},
      Case{"--prot", "--port"},
      Case{"server.colour", ""},
      Case{"x", ""},
      Case{"", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.mistyped);
    CHECK(find_nearest(c.mistyped, kNames) == c.nearest);
  }
}

}  // namespace
}  // namespace larder::config
