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

TEST_CASE_FIXTURE(Fixture, "live client: a tag may be spelled like an option of the command") {
  const auto tag = [this](const Texts& tags) {
    for (std::size_t i = 0; i < tags.size(); ++i) client.set(keys[i], "v", {.tags = {tags[i]}});
  };
  for (const Texts& tags : {Texts{"live-posts", "all"}, Texts{"live-posts", "ASYNC", "Exact"},
                            Texts{"all", "exact"}, Texts{"EXACT"}}) {
    CAPTURE(tags.back());
    tag(tags);
    CHECK(client.invalidate_tags(tags) == tags.size());
    tag(tags);
    client.set(keys[0], "v", {.tags = tags});
    CHECK(client.invalidate_tags(tags, TagMatch::all) == 1);
    client.mdel(keys);
  }
}

TEST_CASE_FIXTURE(Fixture, "live client: a list of tags replaces those of the key, none leaves them") {
  client.set("live:1", "1", {.tags = {"live-old"}});
  client.set("live:1", "2");
  CHECK(client.invalidate_tags(Texts{"live-old"}) == 1);
  client.set("live:1", "3", {.tags = {"live-old"}});
  client.set("live:1", "4", {.tags = {}});
  client.set("live:2", "5", {.tags = {"live-old"}});
  client.set("live:2", "6", {.tags = Texts{"live-new", "live-other"}});
  CHECK(client.invalidate_tags(Texts{"live-old"}) == 0);
  CHECK(client.get("live:1") == "4");
  CHECK(client.invalidate_tags(Texts{"live-new"}) == 1);
}

TEST_CASE_FIXTURE(Fixture, "live client: a ttl that is none is refused before anything is sent") {
  CHECK_THROWS_WITH_AS(client.set("live:1", "x", {.ttl = -1ms}), "the ttl is negative",
                       std::invalid_argument);
  CHECK_THROWS_AS(client.set("live:1", "x", {.ttl = std::chrono::milliseconds::max()}),
                  std::invalid_argument);
  CHECK_FALSE(client.get("live:1"));
}

TEST_CASE_FIXTURE(Fixture, "live client: what could never be cached is refused before it is computed") {
  int computed = 0;
  const auto compute = [&](std::string_view) { return std::to_string(++computed); };
  CHECK_THROWS_AS(static_cast<void>(client.cached(compute, -1s)), std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(client.cached(compute, 10s, {"a::b"})), std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(client.cached(compute, 10s, Texts(33, "a"))), std::invalid_argument);
  const auto tagged_with_key =
      client.cached(compute, 10s, [](std::string_view key) { return Texts{"live:" + std::string(key)}; });
  CHECK_THROWS_AS(static_cast<void>(tagged_with_key("")), std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(tagged_with_key("1:2:3:4:5:6:7:8")), std::invalid_argument);
  CHECK(computed == 0);
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
  Client lost({.url = "unix:///nowhere/larder.sock"});
  CHECK_THROWS_AS(static_cast<void>(lost.get("live:1")), ConnectionError);
  CHECK_THROWS_AS(lost.set("live:1", "x"), ConnectionError);
  CHECK(lost.cached([](std::string_view key) { return std::string(key); }, 10s)("live:1") == "live:1");
}
