#include <algorithm>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "keyspace/ghost.h"
#include "keyspace/keyspace.h"
#include "keyspace/support.h"

namespace larder {
namespace {

constexpr std::uint64_t kBudget = 900 * 1024;  // one shard: one FIFO

Keyspace::Options small(Eviction eviction) {
  return {.budget_bytes = kBudget, .eviction = eviction};
}

void put(Keyspace& keyspace, const std::string& name, std::size_t size = 100, UnixMs expire_at = kNoExpiry) {
  const KeyRef key(0, name);
  Keyspace::Locked(keyspace, {&key, 1}, kNow).put(key, std::string(size, 'x'), expire_at);
}

bool touch(Keyspace& keyspace, const std::string& name) {
  const KeyRef key(0, name);
  return Keyspace::Locked(keyspace, {&key, 1}, kNow).find(key).has_value();
}

int count_present(Keyspace& keyspace, const std::string& prefix, int count) {
  int present = 0;
  for (int i = 0; i < count; ++i) present += touch(keyspace, prefix + std::to_string(i)) ? 1 : 0;
  return present;
}

TEST_CASE("eviction: the budget holds under any mix of sizes") {
  for (const Eviction eviction : {Eviction::s3fifo, Eviction::lru}) {
    for (const std::uint64_t budget : {kBudget, std::uint64_t{12} << 20}) {
      Keyspace keyspace({.budget_bytes = budget, .eviction = eviction});
      std::mt19937 random(29);
      std::uint64_t largest = 0;
      for (int i = 0; i < 60'000; ++i) {
        put(keyspace, std::to_string(random() % 40'000), i % 100 == 0 ? random() % 20'000 : random() % 1'000);
        largest = std::max(largest, keyspace.used_bytes());
      }
      CHECK(largest <= budget + budget / 100);
      CHECK(largest > budget - budget / 10);
      CHECK(keyspace.counters().evictions > 0);
    }
  }
}

TEST_CASE("s3-fifo: keys that were hit survive a flood of keys that are used once") {
  Keyspace keyspace(small(Eviction::s3fifo));
  for (int i = 0; i < 1000; ++i) put(keyspace, "hot:" + std::to_string(i));
  CHECK(count_present(keyspace, "hot:", 1000) == 1000);
  for (int i = 0; i < 30'000; ++i) put(keyspace, "once:" + std::to_string(i));
  CHECK(count_present(keyspace, "hot:", 1000) == 1000);
}

TEST_CASE("s3-fifo: keys that were never hit leave in the order they came") {
  Keyspace keyspace(small(Eviction::s3fifo));
  for (int i = 0; i < 20'000; ++i) put(keyspace, std::to_string(i));
  const auto held = static_cast<int>(keyspace.entries());
  for (int i = 0; i < 20'000; i += 100) CHECK(touch(keyspace, std::to_string(i)) == (i >= 20'000 - held));
}

TEST_CASE("s3-fifo: a key that comes back soon after its eviction is kept") {
  Keyspace keyspace(small(Eviction::s3fifo));
  const auto put_many = [&](const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) put(keyspace, prefix + std::to_string(i));
  };
  put_many("flood:", 10'000);
  put_many("returns:", 300);
  put_many("next flood:", 7'000);
  CHECK(keyspace.entries() < 7'000);  // so all of them have gone
  put_many("returns:", 300);
  put_many("last flood:", 30'000);
  CHECK(count_present(keyspace, "returns:", 300) > 150);  // a direct-mapped ghost forgets some
}

TEST_CASE("lru: the least recently used key leaves first") {
  Keyspace keyspace(small(Eviction::lru));
  put(keyspace, "used");
  put(keyspace, "unused");
  for (int i = 0; i < 20'000; ++i) {
    put(keyspace, std::to_string(i));
    if (i % 100 == 0) (void)touch(keyspace, "used");
  }
  CHECK(touch(keyspace, "used"));
  CHECK_FALSE(touch(keyspace, "unused"));
}

TEST_CASE("noeviction: nothing leaves, and the keyspace says that it is full") {
  Keyspace keyspace(small(Eviction::none));
  int written = 0;
  while (!keyspace.out_of_memory()) put(keyspace, std::to_string(written++));
  CHECK(keyspace.entries() == static_cast<std::uint64_t>(written));
  CHECK(keyspace.counters().evictions == 0);
  const KeyRef key(0, "0");
  CHECK(Keyspace::Locked(keyspace, {&key, 1}, kNow).erase(key));
  CHECK_FALSE(keyspace.out_of_memory());
}

TEST_CASE("eviction: a smaller budget takes effect at once") {
  Keyspace keyspace({.budget_bytes = 32 << 20});
  for (int i = 0; i < 50'000; ++i) put(keyspace, std::to_string(i));
  keyspace.set_budget(2 << 20);
  CHECK(keyspace.used_bytes() <= 2 << 20);
  CHECK(keyspace.entries() > 1000);
}

TEST_CASE("eviction: void entries leave before promoted ones, hits or not") {
  Keyspace keyspace(small(Eviction::s3fifo));
  const SourceId source = keyspace.add_source();
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "void:" + std::to_string(i);
    const KeyRef key(0, name);
    keyspace.fill(key, std::string(100, 'x'), kNoExpiry, keyspace.epoch(key.hash), source,
                  keyspace.source_generation(source));
    keyspace.read(key, kNow, [](const Item&) {});
  }
  keyspace.void_source(source);
  for (int i = 0; i < 5000; ++i) put(keyspace, "fresh:" + std::to_string(i));
  CHECK(count_present(keyspace, "fresh:", 5000) > 4500);
}

TEST_CASE("sweep: frees expired records in bounded steps") {
  Keyspace keyspace({.budget_bytes = 64 << 20});
  for (int i = 0; i < 1000; ++i) put(keyspace, "expires:" + std::to_string(i), 10, kNow + 10);
  for (int i = 0; i < 1000; ++i) put(keyspace, "stays:" + std::to_string(i), 10, kNow + 1000);
  CHECK(keyspace.sweep(100, kNow) == 0);
  CHECK(keyspace.sweep(100, kNow + 10) <= 100);
  for (int i = 0; i < 300; ++i) (void)keyspace.sweep(100, kNow + 10);
  CHECK(keyspace.entries() == 1000);
  CHECK(keyspace.counters().expired == 1000);
}

TEST_CASE("ghost: remembers a key once") {
  Ghost ghost;
  CHECK_FALSE(ghost.take(7));
  ghost.reserve(100);
  ghost.remember(7);
  CHECK(ghost.take(7));
  CHECK_FALSE(ghost.take(7));
  CHECK(ghost.bytes() >= 100 * sizeof(std::uint32_t));
}

}  // namespace
}  // namespace larder
