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
    static_cast<void>(parse_redis_target(url));
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
      Case{"redis://a:1,b:2", "several hosts"},
      Case{"rediss://a,b/0", "several hosts"},
      Case{"redis://[::1", "not closed"},
      Case{"redis://[::1]x", "not a port"},
      Case{"redis://[]", "host is missing"},
      Case{"redis://u:sesame%@h", "hexadecimal"},
      Case{"redis://u:sesame%4@h", "hexadecimal"},
      Case{"redis://u:sesame%zz@h", "hexadecimal"},
      Case{"redis://u:sesame%+1@h", "hexadecimal"},
      Case{"unix://run/redis.sock", "start with '/'"},
      Case{"unix://", "start with '/'"},
      Case{"redis-sentinel://", "host is missing"},
      Case{"redis-sentinel://h", "name that the Sentinels have"},
      Case{"redis-sentinel://u:sesame@h,i/", "name that the Sentinels have"},
      Case{"redis-sentinel://h//1", "name that the Sentinels have"},
      Case{"redis-sentinel://h,,i/m", "host is missing"},
      Case{"redis-sentinel://h:1,i:x/m", "port"},
      Case{"redis-sentinel://h/m/x", "database"},
      Case{"redis-sentinel://h/m/1/2", "database"},
      Case{"redis-sentinel://h/m?x=1", "only parameter"},
      Case{"redis-cluster://", "host is missing"},
      Case{"redis-cluster://u:sesame@", "host is missing"},
      Case{"redis-cluster://u:sesame@h,,i", "host is missing"},
      Case{"redis-cluster://h:1,i:0", "port"},
      Case{"redis-cluster://h/1", "no databases"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.url);
    const std::string error = error_of(c.url);
    CAPTURE(error);
    CHECK(error.find(c.word) != std::string::npos);
    CHECK(error.find("sesame") == std::string::npos);
  }
}

TEST_CASE("redis address: the nodes of a cluster share a login") {
  const RedisTarget one = parse_redis_target("redis-cluster://h");
  CHECK(one.is_cluster);
  CHECK(bool(one.address == RedisAddress{.host = "h"}));
  CHECK(one.more_seeds.empty());
  const RedisTarget three = parse_redis_target("redis-cluster://me:p%40@a:1,[::1]:2,c/");
  CHECK(bool(three.address == RedisAddress{.host = "a", .port = 1, .user = "me", .password = "p@"}));
  CHECK(bool(three.more_seeds == std::vector<RedisSeed>{{"::1", 2}, {"c", 6379}}));
  CHECK_FALSE(parse_redis_target("redis://h").is_cluster);
}

TEST_CASE("redis address: rediss is TLS") {
  CHECK(
      bool(parse_redis_url("rediss://h:1/2") == RedisAddress{.host = "h", .port = 1, .db = 2, .tls = true}));
  CHECK_FALSE(parse_redis_url("redis://h").tls);
  const RedisTarget cluster = parse_redis_target("rediss-cluster://me:p@a:1,b:2");
  CHECK(cluster.is_cluster);
  CHECK(bool(cluster.address ==
             RedisAddress{.host = "a", .port = 1, .user = "me", .password = "p", .tls = true}));
  CHECK_FALSE(parse_redis_target("redis-cluster://a,b").address.tls);
}

TEST_CASE("redis address: REDIS_CLUSTER_NODES speaks TLS if a node says so, or else the URL that logs in") {
  CHECK(cluster_url("rediss://a:1,b:2", "") == "rediss-cluster://a:1,b:2");
  CHECK(cluster_url("a:1,b:2", "rediss://me:pw@h:1") == "rediss-cluster://me:pw@a:1,b:2");
  CHECK(cluster_url("redis://a:1,b:2", "rediss://me:pw@h:1") == "redis-cluster://me:pw@a:1,b:2");
}

TEST_CASE("redis address: Sentinels and the name they have for the master") {
  const RedisTarget one = parse_redis_target("redis-sentinel://h/mymaster");
  CHECK(bool(one.sentinels == std::vector<RedisSeed>{{"h", 26379}}));
  CHECK(one.master_name == "mymaster");
  CHECK(bool(one.address == RedisAddress{}));
  const RedisTarget three = parse_redis_target("redis-sentinel://me:p%40@a:1,[::1]:2,c/the%20one/3");
  CHECK(bool(three.sentinels == std::vector<RedisSeed>{{"a", 1}, {"::1", 2}, {"c", 26379}}));
  CHECK(three.master_name == "the one");
  CHECK(bool(three.address == RedisAddress{.user = "me", .password = "p@", .db = 3}));
  CHECK_FALSE(three.is_cluster);
  CHECK(parse_redis_target("redis-sentinel://h/m?db=4").address.db == 4);
  CHECK(parse_redis_target("redis://h").sentinels.empty());
  CHECK_FALSE(three.address.tls);
  CHECK(parse_redis_target("rediss-sentinel://h/m").address.tls);
}

TEST_CASE("redis address: REDIS_CLUSTER_NODES as a URL") {
  CHECK(cluster_url("a:1,b:2", "") == "redis-cluster://a:1,b:2");
  CHECK(cluster_url("a:1, redis://b:2", "redis://h") == "redis-cluster://a:1,b:2");
  CHECK(cluster_url("a:1,b:2", "redis://me:pw@h:1") == "redis-cluster://me:pw@a:1,b:2");
  CHECK(cluster_url("you:pw@a:1", "redis://me:pw@h:1") == "redis-cluster://you:pw@a:1");
}

}  // namespace
}  // namespace larder::config
