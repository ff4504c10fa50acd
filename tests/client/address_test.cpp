#include "address.h"

#include <stdexcept>

#include <doctest/doctest.h>

using namespace larder;

TEST_CASE("client address: what a url says, and the defaults for what it does not") {
  const struct {
    std::string_view url;
    Address address;
  } cases[] = {
      {"redis://", {}},
      {"redis://cache", {.host = "cache"}},
      {"redis://cache:7000/2", {.host = "cache", .port = 7000, .db = 2}},
      {"redis://me:s%3Ac@cache", {.host = "cache", .user = "me", .password = "s:c"}},
      {"redis://:secret@cache/", {.host = "cache", .password = "secret"}},
      {"redis://p@ss@[::1]:7000", {.host = "::1", .port = 7000, .password = "p@ss"}},
      {"unix:///run/larder.sock", {.path = "/run/larder.sock"}},
      {"unix://:pw@/run/larder.sock?db=3", {.path = "/run/larder.sock", .db = 3, .password = "pw"}},
  };
  for (const auto& one : cases) {
    CAPTURE(one.url);
    const Address address = parse_address(one.url);
    CHECK(address.path == one.address.path);
    CHECK(address.host == one.address.host);
    CHECK(address.port == one.address.port);
    CHECK(address.db == one.address.db);
    CHECK(address.user == one.address.user);
    CHECK(address.password == one.address.password);
  }
}

TEST_CASE("client address: what is no url is refused") {
  for (const std::string_view url :
       {"", "cache:6379", "http://cache", "rediss://cache", "redis://cache:0", "redis://cache:x",
        "redis://cache/x", "redis://[::1", "unix:///s?port=1"}) {
    CAPTURE(url);
    CHECK_THROWS_AS(static_cast<void>(parse_address(url)), std::invalid_argument);
  }
}
