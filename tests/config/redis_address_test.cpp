#include "config/redis_address.h"

#include <array>
#include <vector>

#include <doctest/doctest.h>

#include "config/settings.h"

namespace larder::config {
namespace {

TEST_CASE("redis address: the forms of a URL") {
  struct Case {
    std::string_view url;
    RedisAddress address;
  };
  const std::vector<Case> cases{
      {"redis://localhost", {.host = "localhost"}},
      {"redis://localhost/", {.host = "localhost"}},
      {"redis://10.0.0.1:6380", {.host = "10.0.0.1", .port = 6380}},
      {"redis://h:6380/3", {.host = "h", .port = 6380, .db = 3}},
      {"redis://h?db=4", {.host = "h", .db = 4}},
      {"redis://me:pw@h", {.host = "h", .user = "me", .password = "pw"}},
      {"redis://:pw@h", {.host = "h", .password = "pw"}},
      {"redis://pw@h", {.host = "h", .password = "pw"}},
      {"redis://me:p%40s%2Fs%3a%25@h/1", {.host = "h", .user = "me", .password = "p@s/s:%", .db = 1}},
      {"redis://me:p@w@h", {.host = "h", .user = "me", .password = "p@w"}},
      {"redis://me:p:w@h", {.host = "h", .user = "me", .password = "p:w"}},
      {"redis://[::1]", {.host = "::1"}},
      {"redis://[::1]:7000/2", {.host = "::1", .port = 7000, .db = 2}},
      {"redis://me:pw@[fe80::1]:7000", {.host = "fe80::1", .port = 7000, .user = "me", .password = "pw"}},
      {"unix:///run/redis.sock", {.path = "/run/redis.sock"}},
      {"unix:///run/my%20redis.sock?db=7", {.path = "/run/my redis.sock", .db = 7}},
      {"unix://me:pw@/run/redis.sock", {.path = "/run/redis.sock", .user = "me", .password = "pw"}},
      {"unix:///run/a@b.sock", {.path = "/run/a@b.sock"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.url);
    CHECK(bool(parse_redis_url(c.url) == c.address));
  }
}

std::string error_of(std::string_view url) {
  try {
    static_cast<void>(parse_redis_url(url));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("redis address: an error says what is wrong and never the password") {
  struct Case {
    std::string_view url, word;
  };
  constexpr std::array kCases{
      Case{"", "://"},
      Case{"localhost:6379", "://"},
      Case{"http://sesame@h", "http:// is not known"},
      Case{"redis://", "host is missing"},
      Case{"redis://:6379", "host is missing"},
      Case{"redis://u:sesame@", "host is missing"},
      Case{"redis://h:", "port"},
      Case{"redis://h:0", "port"},
      Case{"redis://h:65536", "port"},
      Case{"redis://u:sesame@h:x", "port"},
      Case{"redis://h/x", "database"},
      Case{"redis://h/1/2", "database"},
      Case{"redis://h/-1", "database"},
      Case{"redis://h/99999999999", "database"},
      Case{"redis://h?db=", "database"},
      Case{"redis://h?family=6", "only parameter"},
      Case{"redis://::1", "in brackets"},
      Case{"redis://[::1", "not closed"},
      Case{"redis://[::1]x", "not a port"},
      Case{"redis://[]", "host is missing"},
      Case{"redis://u:sesame%@h", "hexadecimal"},
      Case{"redis://u:sesame%4@h", "hexadecimal"},
      Case{"redis://u:sesame%zz@h", "hexadecimal"},
      Case{"redis://u:sesame%+1@h", "hexadecimal"},
      Case{"unix://run/redis.sock", "start with '/'"},
      Case{"unix://", "start with '/'"},
      Case{"rediss://u:sesame@h", "one Redis node"},
      Case{"redis-cluster://u:sesame@h", "one Redis node"},
      Case{"rediss-cluster://h", "one Redis node"},
      Case{"redis-sentinel://h/master", "one Redis node"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.url);
    const std::string error = error_of(c.url);
    CAPTURE(error);
    CHECK(error.find(c.word) != std::string::npos);
    CHECK(error.find("sesame") == std::string::npos);
  }
}

}  // namespace
}  // namespace larder::config
