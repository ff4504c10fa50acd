#include "server/parameters.h"

#include <algorithm>
#include <array>

#include <doctest/doctest.h>

#include "backend/memory/make_tier.h"
#include "server/server.h"

namespace larder {
namespace {

/// A server that does not run.
struct Desk {
  explicit Desk(config::BackendKind kind = config::BackendKind::memory)
      : server(config::Settings(), choice_of(kind), keyspace, *tier) {}

  static config::BackendChoice choice_of(config::BackendKind kind) {
    config::BackendChoice choice;
    choice.kind = kind;
    return choice;
  }

  Keyspace keyspace{{.budget_bytes = 8 << 20}};
  std::unique_ptr<Tier> tier = memory::make_tier(keyspace);
  Server server;

  std::string get(ByteView name) { return find_parameter(name)->get(server); }

  /// The error, or nothing.
  std::string set(ByteView name, ByteView value) {
    const ParameterChange change = find_parameter(name)->change(server, value);
    if (change.error.empty()) change.apply();
    return change.error;
  }
};

TEST_CASE("parameters: names are sorted and found in any case") {
  const auto parameters = all_parameters();
  CHECK(std::ranges::is_sorted(parameters, {}, &Parameter::name));
  for (const Parameter& parameter : parameters) CHECK(find_parameter(parameter.name) == &parameter);
  CHECK(find_parameter("MaxMemory") == find_parameter("maxmemory"));
  CHECK(find_parameter("no-such") == nullptr);
}

TEST_CASE("parameters: what was set is what is got") {
  struct Case {
    ByteView name, value, shown;
  };
  constexpr std::array kCases{
      Case{"maxclients", "17", "17"},
      Case{"timeout", "60", "60"},
      Case{"tcp-keepalive", "0", "0"},
      Case{"slowlog-log-slower-than", "-1", "-1"},
      Case{"slowlog-max-len", "5", "5"},
      Case{"proto-max-bulk-len", "2mb", "2097152"},
      Case{"client-query-buffer-limit", "1gb", "1073741824"},
      Case{"maxmemory", "16mb", "16777216"},
      Case{"maxmemory", "0", "0"},
      Case{"maxmemory-policy", "allkeys-lru", "allkeys-lru"},
      Case{"maxmemory-policy", "noeviction", "noeviction"},
      Case{"maxmemory-policy", "ALLKEYS-LFU", "allkeys-lfu"},
      Case{"requirepass", "secret", "secret"},
      Case{"save", "", ""},
      Case{"appendonly", "no", "no"},
      Case{"client-output-buffer-limit", "normal 1mb 512kb 10",
           "normal 1048576 524288 10 slave 0 0 0 pubsub 33554432 8388608 60"},
      Case{"client-output-buffer-limit", "replica 1 2 3  pubsub 0 0 0",
           "normal 1048576 524288 10 slave 0 0 0 pubsub 0 0 0"},
  };
  Desk desk;
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    CHECK(desk.set(c.name, c.value) == "");
    CHECK(desk.get(c.name) == c.shown);
  }
}

TEST_CASE("parameters: a wrong value changes nothing and is named as Redis names it") {
  struct Case {
    ByteView name, value, error;
  };
  constexpr std::array kCases{
      Case{"maxclients", "0", "argument must be between 1 and 4294967295 inclusive"},
      Case{"maxclients", "x", "argument couldn't be parsed into an integer"},
      Case{"timeout", "-1", "argument must be between 0 and 2147483647 inclusive"},
      Case{"maxmemory", "x", "argument must be a memory value"},
      Case{"proto-max-bulk-len", "10", "argument must be between 1048576 and 9223372036854775807 inclusive"},
      Case{"loglevel", "loud", "argument(s) must be one of the following: debug, verbose, notice, warning"},
      Case{"appendonly", "maybe", "argument must be 'yes' or 'no'"},
      Case{"client-output-buffer-limit", "normal 1 2",
           "Wrong number of arguments in buffer limit configuration."},
      Case{"client-output-buffer-limit", "x 1 2 3",
           "Invalid client class specified in buffer limit configuration."},
  };
  Desk desk;
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const std::string before = desk.get(c.name);
    CHECK(desk.set(c.name, c.value) == c.error);
    CHECK(desk.get(c.name) == before);
  }
}

TEST_CASE("parameters: a cache in front of a backend is bounded and evicts") {
  Desk desk(config::BackendKind::redis);
  CHECK(desk.set("maxmemory-policy", "noeviction") != "");
  CHECK(desk.set("maxmemory", "0") != "");
  CHECK(desk.set("maxmemory", "2mb") == "");
  CHECK(desk.keyspace.budget_bytes() == 2 << 20);
}

TEST_CASE("parameters: what cannot be changed has no way to change it") {
  for (const ByteView name : {"bind", "port", "tls-port", "databases", "unixsocket", "daemonize"}) {
    const bool may_change = find_parameter(name)->change != nullptr;
    CHECK_FALSE(may_change);
  }
}

}  // namespace
}  // namespace larder
