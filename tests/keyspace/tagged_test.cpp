#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "keyspace/keyspace.h"
#include "keyspace/support.h"

// Tags in the keyspace as a store: the index follows its records wherever they go.

namespace larder {
namespace {

TagSet set_of(std::vector<ByteView> words) {
  return *TagSet::parse(words);
}

void put(Keyspace& keyspace, const Bytes& name, ByteView value, std::vector<ByteView> tags,
         UnixMs expire_at = kNoExpiry) {
  const KeyRef key(0, name);
  Keyspace::Locked records(keyspace, {&key, 1}, kNow);
  records.put(key, value, expire_at);
  records.set_tags(key, set_of(std::move(tags)));
}

std::uint64_t count(Keyspace& keyspace, const Bytes& tag, UnixMs now_ms = kNow) {
  return keyspace.count_tagged(0, {.tags = {tag}}, now_ms);
}

std::uint64_t invalidate(Keyspace& keyspace, const Bytes& tag, UnixMs now_ms = kNow) {
  return keyspace.invalidate(0, {.tags = {tag}}, now_ms);
}

bool exists(Keyspace& keyspace, const Bytes& name) {
  const KeyRef key(0, name);
  return Keyspace::Locked(keyspace, {&key, 1}, kNow).find(key).has_value();
}

}  // namespace

TEST_CASE("tagged: the index takes memory of the budget and gives it back") {
  Keyspace keyspace(roomy());
  put(keyspace, "k", "v", {});
  const std::uint64_t untagged = keyspace.used_bytes();
  put(keyspace, "k", "v", {"a", "b:c"});
  CHECK(keyspace.used_bytes() > untagged + 100);
  put(keyspace, "k", "v", {});
  const KeyRef key(0, "k");
  Keyspace::Locked(keyspace, {&key, 1}, kNow).put(key, Bytes(500, 'x'), kNoExpiry);
  Keyspace::Locked(keyspace, {&key, 1}, kNow).put(key, "v", kNoExpiry);
  CHECK(keyspace.used_bytes() == untagged);
}

TEST_CASE("tagged: a path is there as long as something lies below it") {
  Keyspace keyspace(roomy());
  put(keyspace, "deep", "v", {"a:b:c"});
  put(keyspace, "beside", "v", {"a:bc"});
  CHECK(count(keyspace, "a") == 2);
  CHECK(count(keyspace, "a:b") == 1);
  put(keyspace, "path", "v", {"a:b"});
  CHECK(count(keyspace, "a:b") == 2);
  CHECK(invalidate(keyspace, "a:b:c") == 1);
  CHECK(count(keyspace, "a:b") == 1);
  put(keyspace, "path", "v", {});
  CHECK(count(keyspace, "a:b") == 0);
  CHECK(count(keyspace, "a") == 1);
}

TEST_CASE("tagged: a write with the same tags changes nothing about them") {
  Keyspace keyspace(roomy());
  put(keyspace, "k", "v", {"a", "b:c"});
  const std::uint64_t used = keyspace.used_bytes();
  put(keyspace, "k", "w", {"a", "b:c"});
  CHECK(keyspace.used_bytes() == used);
  put(keyspace, "k", "v", {"a", "b:d"});
  CHECK(count(keyspace, "b:c") == 0);
  CHECK(count(keyspace, "b:d") == 1);
  CHECK(invalidate(keyspace, "a") == 1);
}

TEST_CASE("tagged: flushing and invalidating leave no byte of the index behind") {
  Keyspace keyspace(roomy());
  const auto fill = [&] {
    for (int i = 0; i < 2000; ++i) {
      const Bytes tag = "t:" + std::to_string(i % 10);
      put(keyspace, "k" + std::to_string(i), "v", {tag, "every"});
    }
  };
  fill();
  CHECK(count(keyspace, "every") == 2000);
  CHECK(invalidate(keyspace, "t:3") == 200);
  CHECK(count(keyspace, "every") == 1800);
  CHECK(invalidate(keyspace, "every") == 1800);
  const std::uint64_t empty = keyspace.used_bytes();
  CHECK(keyspace.size(0) == 0);
  fill();
  keyspace.clear(0);
  CHECK(keyspace.used_bytes() <= empty);
  fill();
  keyspace.clear_all();
  CHECK(keyspace.used_bytes() <= empty);
  CHECK(count(keyspace, "every") == 0);
}

TEST_CASE("tagged: records that grow, shrink and expire keep their tags in the index") {
  Keyspace keyspace(roomy());
  put(keyspace, "k", "v", {"a"});
  const KeyRef key(0, "k");
  for (const std::size_t size : {10u, 5000u, 3u, 100'000u}) {
    Keyspace::Locked records(keyspace, {&key, 1}, kNow);
    static_cast<void>(records.edit(key, size));
  }
  CHECK(count(keyspace, "a") == 1);
  Keyspace::Locked(keyspace, {&key, 1}, kNow).set_expiry(key, kNow + 5);
  CHECK(count(keyspace, "a") == 1);
  CHECK(count(keyspace, "a", kNow + 5) == 0);
  CHECK(keyspace.sweep(1000, kNow + 5) == 1);
  CHECK(count(keyspace, "a") == 0);
  CHECK(invalidate(keyspace, "a") == 0);
}

TEST_CASE("tagged: an expired record is dropped but not counted") {
  Keyspace keyspace(roomy());
  put(keyspace, "k", "v", {"a"}, kNow + 5);
  put(keyspace, "l", "v", {"a"});
  CHECK(invalidate(keyspace, "a", kNow + 5) == 1);
  CHECK(keyspace.size(0) == 0);
}

TEST_CASE("tagged: the budget holds with the index in it, and eviction leaves no orphan") {
  Keyspace keyspace({.budget_bytes = 2 << 20});
  for (int i = 0; i < 50'000; ++i) {
    const Bytes own = "t:" + std::to_string(i);
    put(keyspace, "k" + std::to_string(i), "value", {"every", own});
    REQUIRE(keyspace.used_bytes() <= (2 << 20));
  }
  CHECK(keyspace.counters().evictions > 1000);
  CHECK(count(keyspace, "every") == keyspace.size(0));
  CHECK(count(keyspace, "t") == keyspace.size(0));
}

TEST_CASE("tagged: random changes leave the index as a simple model has it") {
  Keyspace keyspace(roomy());
  std::map<Bytes, std::set<Bytes>> model;
  std::mt19937 random(7);
  const auto pick = [&random](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  for (int step = 0; step < 20'000; ++step) {
    const Bytes name = "k" + std::to_string(pick(40)), other = "k" + std::to_string(pick(40));
    const Bytes tag = "a:" + std::to_string(pick(3)), below = tag + ":" + std::to_string(pick(3));
    const std::vector<KeyRef> keys = {{0, name}, {0, other}};
    switch (pick(5)) {
      case 0:
        put(keyspace, name, Bytes(static_cast<std::size_t>(pick(200)), 'v'), {tag, below});
        model[name] = {tag, below};
        break;
      case 1:
        Keyspace::Locked(keyspace, keys, kNow)
            .put(keys[0], Bytes(static_cast<std::size_t>(pick(200)), 'w'), kNoExpiry);
        model.try_emplace(name);
        break;
      case 2:
        Keyspace::Locked(keyspace, keys, kNow).erase(keys[0]);
        model.erase(name);
        break;
      case 3: {
        if (!model.contains(name) || name == other) break;
        Keyspace::Locked records(keyspace, keys, kNow);
        records.put(keys[1], "copied", kNoExpiry);
        records.carry_tags(keys[0], keys[1]);
        model[other] = model[name];
        break;
      }
      default: {
        const auto gone = std::erase_if(model, [&](const auto& entry) {
          return std::ranges::any_of(entry.second, [&](const Bytes& own) { return tag_covers(below, own); });
        });
        CHECK(invalidate(keyspace, below) == gone);
      }
    }
    const auto expected = std::ranges::count_if(model, [&](const auto& entry) {
      return std::ranges::any_of(entry.second, [&](const Bytes& own) { return tag_covers(tag, own); });
    });
    REQUIRE(count(keyspace, tag) == static_cast<std::uint64_t>(expected));
    REQUIRE(keyspace.size(0) == model.size());
  }
}

TEST_CASE("tagged: an invalidation goes in steps, between which nothing escapes and nobody has to wait") {
  Keyspace keyspace(roomy());
  constexpr int kNames = 5000;
  for (int i = 0; i < kNames; ++i)
    put(keyspace, "n" + std::to_string(i), "v", {"a", i % 2 == 0 ? "b:x" : "c"});
  Keyspace::Invalidation invalidation(keyspace, 0, {.tags = {"a", "b", "c"}});
  for (int step = 0;; ++step) {
    const bool is_over = invalidation.step(kNow);
    CHECK(invalidation.live() >= static_cast<std::uint64_t>(is_over ? kNames - step : 1));
    if (is_over) break;
    CHECK(invalidation.live() <= 2000U * static_cast<unsigned>(step + 1));
    // One that is left, renamed.
    Bytes from;
    keyspace.scan_tagged(0, {.tags = {"a"}}, 0, 1, kNow, [&](ByteView key) { from = key; });
    const Bytes to = "renamed" + std::to_string(step);
    const std::vector<KeyRef> keys = {{0, from}, {0, to}};
    Keyspace::Locked records(keyspace, keys, kNow);
    records.put(keys[1], "v", kNoExpiry);
    records.carry_tags(keys[0], keys[1]);
    records.erase(keys[0]);
  }
  CHECK(keyspace.size(0) == 0);
}

TEST_CASE("tagged: no record escapes an invalidation by being renamed while it runs") {
  Keyspace keyspace(roomy());
  constexpr int kNames = 400;  // over all shards
  for (int round = 0; round < 200; ++round) {
    put(keyspace, "n0", "v", {"a"});
    std::atomic<bool> stop = false;
    std::thread renamer([&] {
      std::mt19937 random(static_cast<unsigned>(round));
      for (Bytes from = "n0"; !stop;) {
        const Bytes to = "n" + std::to_string(random() % kNames);
        if (to == from) continue;
        const std::vector<KeyRef> keys = {{0, from}, {0, to}};
        Keyspace::Locked records(keyspace, keys, kNow);
        if (!records.find(keys[0])) return;
        records.put(keys[1], "v", kNoExpiry);
        records.carry_tags(keys[0], keys[1]);
        records.erase(keys[0]);
        from = to;
      }
    });
    std::this_thread::yield();
    invalidate(keyspace, "a");
    stop = true;
    renamer.join();
    REQUIRE(count(keyspace, "a") == 0);
    REQUIRE(keyspace.size(0) == 0);
  }
  CHECK_FALSE(exists(keyspace, "n0"));
}

}  // namespace larder
