#include <deque>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "backend/redis/flights.h"
#include "backend/redis/open_writes.h"
#include "backend/redis/ring.h"

using namespace larder;
using namespace larder::redis;

TEST_CASE("redis ring: behaves like a deque through growth and wrapping") {
  Ring<int> ring;
  std::deque<int> model;
  std::minstd_rand random(1);
  for (int i = 0; i < 20'000; ++i) {
    if (model.empty() || random() % 5 < (i / 2'000 % 2 == 0 ? 3u : 2u)) {
      ring.push_back(i);
      model.push_back(i);
    } else {
      REQUIRE(ring.front() == model.front());
      ring.pop_front();
      model.pop_front();
    }
    REQUIRE(ring.size() == model.size());
    if (!model.empty()) REQUIRE(ring[model.size() - 1] == model.back());
  }
}

TEST_CASE("redis written keys: come back in the order they went in, whatever their bytes") {
  WrittenKeys keys;
  std::deque<std::string> model;
  std::minstd_rand random(2);
  for (int i = 0; i < 5'000; ++i) {
    std::string key(random() % 200, static_cast<char>(i));
    keys.push(KeyRef(i % 16, key));
    model.push_back(key);
    if (random() % 3 == 0) continue;
    keys.pop([&](const KeyRef& found) {
      CHECK(found.bytes == model.front());
      CHECK(found.hash == KeyRef(0, model.front()).hash);
    });
    model.pop_front();
  }
}

TEST_CASE("redis open writes: a key is touched until its last write is answered") {
  OpenWrites writes;
  writes.add(5);
  writes.add(5);
  writes.remove(5);
  CHECK(writes.may_touch(5));
  CHECK_FALSE(writes.may_touch(6));
  writes.remove(5);
  CHECK_FALSE(writes.may_touch(5));
  writes.add_all();
  CHECK(writes.may_touch(6));
  writes.remove_all();
  CHECK_FALSE(writes.may_touch(6));
}

TEST_CASE("redis flights: readers join until the key is written or the flight has landed") {
  Flights flights;
  const KeyRef key(0, "k");
  const std::uint32_t index = flights.open(key, nullptr, {}, 7, {});
  CHECK(flights.find(key, {}, 7) == &flights[index]);
  CHECK(flights.find(key, {}, 8) == nullptr);
  CHECK(flights.find(KeyRef(1, "k"), {}, 7) == nullptr);
  const std::uint32_t newer = flights.open(key, nullptr, {}, 8, {});
  CHECK(flights.find(key, {}, 8) == &flights[newer]);
  flights.close(index);  // the older one lands first and leaves the newer one alone
  CHECK(flights.find(key, {}, 8) == &flights[newer]);
  flights.close(newer);
  CHECK(flights.find(key, {}, 8) == nullptr);
}
