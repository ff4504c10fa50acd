#include "server/hot_keys.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

using namespace larder;

namespace {

const HotKeys::Entry* find(const std::vector<HotKeys::Entry>& entries, ByteView key) {
  const auto found = std::ranges::find(entries, key, &HotKeys::Entry::key);
  return found == entries.end() ? nullptr : &*found;
}

/// So many requests for `key` as a client would send.
void ask(HotKeys& hot_keys, ByteView key, int requests) {
  for (int n = 0; n < requests; ++n)
    if (hot_keys.wants_sample()) hot_keys.add(0, key);
}

}  // namespace

TEST_CASE("hot keys: one request in many is counted") {
  HotKeys hot_keys;
  int samples = 0;
  for (int n = 0; n < 6400; ++n) {
    if (!hot_keys.wants_sample()) continue;
    ++samples;
    hot_keys.add(0, "k");
  }
  CHECK(samples == 100);
}

TEST_CASE("hot keys: a steady rate is told about right") {
  HotKeys hot_keys;
  for (int second = 0; second < 60; ++second) {
    ask(hot_keys, "hot", 8000);
    ask(hot_keys, "warm", 800);
    hot_keys.fade();
  }
  const auto entries = hot_keys.entries();
  REQUIRE(find(entries, "hot") != nullptr);
  CHECK(find(entries, "hot")->requests_per_second == doctest::Approx(8000).epsilon(0.15));
  CHECK(find(entries, "warm")->requests_per_second == doctest::Approx(800).epsilon(0.15));
}

TEST_CASE("hot keys: a hot key is found among many cold ones, and the table does not grow") {
  HotKeys hot_keys;
  for (int n = 0; n < 10'000; ++n) {
    hot_keys.add(0, "cold" + std::to_string(n));
    if (n % 20 == 0) hot_keys.add(0, "hot");
  }
  const auto entries = hot_keys.entries();
  CHECK(entries.size() == 128);
  CHECK(std::ranges::max_element(entries, {}, &HotKeys::Entry::requests_per_second)->key == "hot");
}

TEST_CASE("hot keys: what nobody asks for any more is forgotten") {
  HotKeys hot_keys;
  for (int n = 0; n < 100; ++n) hot_keys.add(0, "k");
  for (int second = 0; second < 120; ++second) hot_keys.fade();
  CHECK(hot_keys.entries().empty());
}

TEST_CASE("hot keys: databases have keys of their own, and requests without a key none") {
  HotKeys hot_keys;
  hot_keys.add(0, "k");
  hot_keys.add(1, "k");
  hot_keys.add(0, "");
  CHECK(hot_keys.entries().size() == 2);
}
