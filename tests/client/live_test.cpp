// The C++ client against a live Larder, whose url is in LARDER_URL; the keys it uses are gone before and
// after.

#include <atomic>
#include <cstdlib>
#include <thread>

#include <doctest/doctest.h>

#include "larder/client.hpp"

using namespace larder;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

ClientOptions options() {
  const char* const url = std::getenv("LARDER_URL");
  REQUIRE(url != nullptr);
  return {.url = url};
}

struct Fixture {
  Client client{options()};
  const Texts keys{"live:1", "live:2", "live:3"};
  Fixture() { clean(); }
  ~Fixture() { clean(); }
  void clean() { client.mdel(keys); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "live client: what is set is got, binary and empty values too") {
  CHECK_FALSE(client.get("live:1"));
  const std::string value("a\0b\r\n", 5);
  client.set("live:1", value);
  client.set("live:2", "");
  CHECK(client.get("live:1") == value);
  CHECK(client.get("live:2") == "");
}

TEST_CASE_FIXTURE(Fixture, "live client: a value ends with its ttl") {
  client.set("live:1", "short", {.ttl = 50ms});
  CHECK(client.get("live:1") == "short");
  std::this_thread::sleep_for(80ms);
  CHECK_FALSE(client.get("live:1"));
}

TEST_CASE_FIXTURE(Fixture, "live client: many at once") {
  const Entry entries[] = {{"live:1", "one"}, {"live:3", "three"}};
  client.mset(entries, {.ttl = 10s});
  const auto values = client.mget(keys);
  REQUIRE(values.size() == 3);
  CHECK(values[0] == "one");
  CHECK_FALSE(values[1]);
  CHECK(values[2] == "three");
  CHECK(client.mdel(keys) == 2);
  CHECK(client.mget({}).empty());
  CHECK(client.mdel({}) == 0);
}

TEST_CASE_FIXTURE(Fixture, "live client: a tag takes what hangs on it and what is below") {
  client.set("live:1", "1", {.tags = {"live-org:7"}});
  client.set("live:2", "2", {.tags = {"live-org:7:user:9", "live-posts"}});
  client.set("live:3", "3", {.tags = {"live-org:70", "live-posts"}});
  CHECK(client.invalidate_tags(Texts{"live-org:70", "live-org:7"}, TagMatch::all) == 0);
  CHECK(client.invalidate_tags(Texts{"live-org:7"}) == 2);
  CHECK(client.mget(keys) == std::vector<std::optional<std::string>>{std::nullopt, std::nullopt, "3"});
  CHECK(client.invalidate_tags(Texts{"live-posts", "live-org:70"}, TagMatch::all) == 1);
  CHECK(client.invalidate_tags({}) == 0);
}

TEST_CASE_FIXTURE(Fixture, "live client: what the server refuses is a ServerError in its words") {
  CHECK_THROWS_AS(client.set("live:1", "x", {.tags = {"a::b"}}), ServerError);
  CHECK_FALSE(client.get("live:1"));
}

TEST_CASE_FIXTURE(Fixture, "live client: a cached function computes once until its tag is invalidated") {
  int computed = 0;
  const auto square = client.cached([&](std::string_view) { return std::to_string(++computed); }, 10s,
                                    [](std::string_view key) { return Texts{"live-" + std::string(key)}; });
  CHECK(square("live:1") == "1");
  CHECK(square("live:1") == "1");
  CHECK(client.get("live:1") == "1");
  CHECK(client.invalidate_tags(Texts{"live-live:1"}) == 1);
  CHECK(square("live:1") == "2");
}

TEST_CASE_FIXTURE(Fixture, "live client: threads that ask at once share one computation") {
  std::atomic<int> computed = 0;
  const auto slow = client.cached(
      [&](std::string_view) {
        std::this_thread::sleep_for(50ms);
        return std::to_string(++computed);
      },
      10s);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { CHECK(slow("live:1") == "1"); });
  threads.clear();
  CHECK(computed == 1);
}

TEST_CASE_FIXTURE(Fixture, "live client: what a cached function throws is thrown and not stored") {
  const auto failing =
      client.cached([](std::string_view) -> std::string { throw std::logic_error("no"); }, 10s);
  CHECK_THROWS_AS(static_cast<void>(failing("live:1")), std::logic_error);
  CHECK_FALSE(client.get("live:1"));
}

TEST_CASE("live client: without a server a cached function still computes, the rest is a ConnectionError") {
  Client lost({.url = "redis://127.0.0.1:1"});
  CHECK_THROWS_AS(static_cast<void>(lost.get("live:1")), ConnectionError);
  CHECK_THROWS_AS(lost.set("live:1", "x"), ConnectionError);
  CHECK(lost.cached([](std::string_view key) { return std::string(key); }, 10s)("live:1") == "live:1");
}
