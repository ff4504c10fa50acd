#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "keyspace/keyspace.h"
#include "keyspace/support.h"

// The keyspace as a store: what the memory backend's handlers do through Locked, SCAN, whole databases.

namespace larder {
namespace {

void put(Keyspace& keyspace, const KeyRef& key, ByteView value, UnixMs expire_at = kNoExpiry) {
  Keyspace::Locked(keyspace, {&key, 1}, kNow).put(key, value, expire_at);
}

std::optional<std::string> get(Keyspace& keyspace, const KeyRef& key, UnixMs now_ms = kNow) {
  Keyspace::Locked records(keyspace, {&key, 1}, now_ms);
  const std::optional<Item> item = records.find(key);
  if (!item) return std::nullopt;
  return std::string(item->value);
}

bool erase(Keyspace& keyspace, const KeyRef& key, UnixMs now_ms = kNow) {
  return Keyspace::Locked(keyspace, {&key, 1}, now_ms).erase(key);
}

UnixMs expiry(Keyspace& keyspace, const KeyRef& key) {
  return Keyspace::Locked(keyspace, {&key, 1}, kNow).find(key)->expire_at;
}

TEST_CASE("store: put, find and erase") {
  Keyspace keyspace(roomy());
  const KeyRef key(0, "k");
  CHECK_FALSE(get(keyspace, key));
  put(keyspace, key, "v");
  CHECK(get(keyspace, key) == "v");
  CHECK(keyspace.size(0) == 1);
  CHECK(keyspace.size(1) == 0);
  CHECK(erase(keyspace, key));
  CHECK_FALSE(erase(keyspace, key));
  CHECK(keyspace.size(0) == 0);
}

TEST_CASE("store: a put that changes the expiry changes only that") {
  Keyspace keyspace(roomy());
  const KeyRef key(0, "k");
  for (const UnixMs expire_at : {kNow + 5, kNoExpiry, kNow + 6, kNow + 7, kNoExpiry}) {
    put(keyspace, key, "value", expire_at);
    CHECK(get(keyspace, key) == "value");
    CHECK(expiry(keyspace, key) == expire_at);
  }
}

TEST_CASE("store: set_expiry adds, moves and removes an expiry") {
  Keyspace keyspace(roomy());
  const KeyRef key(0, "k");
  put(keyspace, key, "value");
  for (const UnixMs expire_at : {kNow + 5, kNow + 6, kNoExpiry, kNow + 7}) {
    Keyspace::Locked(keyspace, {&key, 1}, kNow).set_expiry(key, expire_at);
    CHECK(expiry(keyspace, key) == expire_at);
    CHECK(get(keyspace, key) == "value");
  }
  const KeyRef none(0, "none");
  Keyspace::Locked(keyspace, {&none, 1}, kNow).set_expiry(none, kNow + 1);
  CHECK_FALSE(get(keyspace, none));
}

TEST_CASE("store: an expired record is absent to every call") {
  Keyspace keyspace(roomy());
  const KeyRef key(0, "k");
  const auto put_expiring = [&] { put(keyspace, key, "v", kNow + 10); };
  put_expiring();
  CHECK(get(keyspace, key, kNow + 9) == "v");
  CHECK_FALSE(get(keyspace, key, kNow + 10));
  put_expiring();
  CHECK_FALSE(erase(keyspace, key, kNow + 10));
  put_expiring();
  Keyspace::Locked records(keyspace, {&key, 1}, kNow + 10);
  CHECK(records.memory_usage(key) == 0);
  CHECK(records.edit(key, 3).size() == 3);
  CHECK(records.find(key)->value == ByteView("\0\0\0", 3));
  CHECK(records.find(key)->expire_at == kNoExpiry);
}

TEST_CASE("store: edit grows with zeros, shrinks, and keeps the expiry") {
  Keyspace keyspace(roomy());
  const KeyRef key(0, "k");
  put(keyspace, key, "abc", kNow + 50);
  Keyspace::Locked records(keyspace, {&key, 1}, kNow);
  std::string model = "abc";
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    const std::size_t size = random() % (i % 10 == 0 ? 200'000 : 2'000);
    const std::span<char> bytes = records.edit(key, size);
    model.resize(size, '\0');
    if (size > 0) model[size / 2] = bytes[size / 2] = static_cast<char>(random());
    CHECK(records.find(key)->value == model);
    CHECK(records.find(key)->expire_at == kNow + 50);
  }
}

TEST_CASE("store: random operations keep it equal to a map, and its bytes return to nothing") {
  Keyspace keyspace(roomy());
  const std::uint64_t empty_bytes = keyspace.used_bytes();
  std::map<std::pair<int, std::string>, std::string> model;
  std::mt19937 random(17);
  for (int i = 0; i < 20'000; ++i) {
    const int db = static_cast<int>(random() % 3);
    const std::string name = std::to_string(random() % 500);
    const KeyRef key(db, name);
    const std::string value(random() % 200, static_cast<char>('a' + random() % 26));
    switch (random() % 4) {
      case 0:
        CHECK(erase(keyspace, key) == (model.erase({db, name}) == 1));
        break;
      case 1: {
        Keyspace::Locked records(keyspace, {&key, 1}, kNow);
        const std::span<char> bytes = records.edit(key, value.size());
        std::memcpy(bytes.data(), value.data(), value.size());
        model[{db, name}] = value;
        break;
      }
      default:
        put(keyspace, key, value, random() % 2 ? kNow + 1000 : kNoExpiry);
        model[{db, name}] = value;
    }
  }
  for (const auto& [key, value] : model) CHECK(get(keyspace, KeyRef(key.first, key.second)) == value);
  CHECK(keyspace.size(0) + keyspace.size(1) + keyspace.size(2) == model.size());
  for (const auto& [key, value] : model) CHECK(erase(keyspace, KeyRef(key.first, key.second)));
  CHECK(keyspace.entries() == 0);
  CHECK(keyspace.used_bytes() - empty_bytes < 16 * 3 * 2000);  // what remains are small tables
}

TEST_CASE("store: several keys are locked and changed together") {
  Keyspace keyspace(roomy());
  std::vector<std::string> names;
  std::vector<KeyRef> keys;
  for (int i = 0; i < 50; ++i) names.push_back(std::to_string(i % 40));  // some twice
  for (const std::string& name : names) keys.emplace_back(0, name);
  Keyspace::Locked records(keyspace, keys, kNow);
  for (const KeyRef& key : keys) records.put(key, key.bytes, kNoExpiry);
  for (const KeyRef& key : keys) CHECK(records.find(key)->value == key.bytes);
}

TEST_CASE("store: no key at all is fine") {
  Keyspace keyspace(roomy());
  const Keyspace::Locked records(keyspace, {}, kNow);
}

TEST_CASE("store: clear, clear_all and swap work on whole databases") {
  Keyspace keyspace(roomy());
  const auto fill = [&] {
    for (int i = 0; i < 1000; ++i) put(keyspace, KeyRef(i % 4, std::to_string(i)), "v");
  };
  fill();
  keyspace.clear(1);
  CHECK(keyspace.size(1) == 0);
  CHECK(keyspace.entries() == 750);
  keyspace.swap(0, 1);
  CHECK(keyspace.size(0) == 0);
  CHECK(keyspace.size(1) == 250);
  CHECK(get(keyspace, KeyRef(1, "4")) == "v");
  CHECK_FALSE(get(keyspace, KeyRef(0, "4")));
  fill();
  keyspace.clear(1);
  CHECK(keyspace.size(0) == 250);
  keyspace.clear_all();
  CHECK(keyspace.entries() == 0);
  CHECK(keyspace.used_bytes() == 0);
  fill();
  CHECK(keyspace.entries() == 1000);
}

// --- SCAN ---

std::multiset<std::string> scan_all(Keyspace& keyspace, std::size_t count, UnixMs now_ms = kNow) {
  std::multiset<std::string> seen;
  std::uint64_t cursor = 0;
  do {
    cursor = keyspace.scan(0, cursor, count, now_ms, [&](ByteView key, const Item&) { seen.emplace(key); });
    CHECK(cursor < std::uint64_t{1} << 48);
  } while (cursor != 0);
  return seen;
}

TEST_CASE("scan: a quiet database is visited exactly once, whatever the step") {
  Keyspace keyspace(roomy());
  for (int i = 0; i < 1000; ++i) put(keyspace, KeyRef(0, std::to_string(i)), "v");
  put(keyspace, KeyRef(1, "elsewhere"), "v");
  for (const std::size_t count : {1u, 7u, 100u, 5000u}) {
    const std::multiset<std::string> seen = scan_all(keyspace, count);
    CHECK(seen.size() == 1000);
    CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 1000);
  }
}

TEST_CASE("scan: expired records are not shown") {
  Keyspace keyspace(roomy());
  put(keyspace, KeyRef(0, "a"), "v", kNow + 10);
  put(keyspace, KeyRef(0, "b"), "v");
  CHECK(scan_all(keyspace, 10, kNow + 10) == std::multiset<std::string>{"b"});
}

TEST_CASE("scan: what stays during the iteration is seen, under growth and shrinking") {
  Keyspace keyspace(roomy());
  std::mt19937 random(23);
  for (int i = 0; i < 300; ++i) put(keyspace, KeyRef(0, "stays:" + std::to_string(i)), "v");
  std::set<std::string> seen;
  std::uint64_t cursor = 0;
  int churned = 0;
  do {
    cursor = keyspace.scan(0, cursor, 5, kNow, [&](ByteView key, const Item&) { seen.emplace(key); });
    const bool grows = churned / 5'000 % 2 == 0;
    for (int i = 0; i < 100; ++i, ++churned) {
      const std::string name = "comes and goes:" + std::to_string(random() % 5'000);
      if (grows)
        put(keyspace, KeyRef(0, name), "v");
      else
        (void)erase(keyspace, KeyRef(0, name));
    }
  } while (cursor != 0);
  for (int i = 0; i < 300; ++i) CHECK(seen.contains("stays:" + std::to_string(i)));
}

TEST_CASE("random_key: finds a live key when there is one") {
  Keyspace keyspace(roomy());
  Bytes key;
  CHECK_FALSE(keyspace.random_key(0, kNow, key));
  put(keyspace, KeyRef(0, "gone"), "v", kNow + 10);
  put(keyspace, KeyRef(0, "there"), "v");
  for (int i = 0; i < 100; ++i) {
    CHECK(keyspace.random_key(0, kNow + 10, key));
    CHECK(key == "there");
  }
  CHECK(erase(keyspace, KeyRef(0, "there")));
  CHECK_FALSE(keyspace.random_key(0, kNow + 10, key));
}

// --- several threads ---

TEST_CASE("store: threads that add to common counters lose nothing") {
  Keyspace keyspace(roomy());
  constexpr int kThreads = 4, kRounds = 3000, kKeys = 8;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&keyspace, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < kRounds; ++i) {
        const std::string a = std::to_string(random() % kKeys), b = "b" + std::to_string(random() % kKeys);
        const std::array keys{KeyRef(0, a), KeyRef(0, b)};
        Keyspace::Locked records(keyspace, keys, kNow);
        for (const KeyRef& key : keys) {
          const std::optional<Item> item = records.find(key);
          const int old = item ? std::stoi(std::string(item->value)) : 0;
          records.put(key, std::to_string(old + 1), kNoExpiry);
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  int sum = 0;
  for (int i = 0; i < kKeys; ++i)
    for (const std::string& name : {std::to_string(i), "b" + std::to_string(i)})
      sum += std::stoi(get(keyspace, KeyRef(0, name)).value_or("0"));
  CHECK(sum == kThreads * kRounds * 2);
}

TEST_CASE("store: everything at once from several threads") {
  Keyspace keyspace({.budget_bytes = 4 << 20});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  const auto loop = [&](auto step) {
    threads.emplace_back([&stop, step]() mutable {
      for (int i = 0; !stop; ++i) step(i);
    });
  };
  const SourceId source = keyspace.add_source();
  loop([&](int i) {
    put(keyspace, KeyRef(0, std::to_string(i % 9000)), std::string(300, 'x'), kNow + i % 2);
  });
  loop([&](int i) {
    const std::string name = std::to_string(i % 5000);
    const KeyRef key(1, name);
    keyspace.fill(key, "v", kNoExpiry, keyspace.epoch(key.hash), source, keyspace.source_generation(source));
    keyspace.read(key, kNow, [](const Item&) {});
  });
  loop([&](int i) { keyspace.sweep(100, kNow + i % 2); });
  int resets = 0;
  for (int i = 0; i < 300; ++i) {
    (void)scan_all(keyspace, 100);
    if (i % 20 == 0) keyspace.swap(0, 1);
    if (i % 50 == 0) keyspace.clear_all();
    if (i % 30 == 0) keyspace.void_source(source);
    if (i % 70 == 0) keyspace.set_budget(static_cast<std::uint64_t>(2 + resets++ % 3) << 20);
    (void)keyspace.size(0);
    (void)keyspace.counters();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(keyspace.used_bytes() <= keyspace.budget_bytes() + 64 * 1024);
}

}  // namespace
}  // namespace larder
