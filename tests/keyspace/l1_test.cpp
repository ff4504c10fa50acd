#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "keyspace/answers.h"
#include "keyspace/keyspace.h"
#include "keyspace/support.h"

// The keyspace as an L1: fills, epochs, sources, expiry.

namespace larder {
namespace {

/// An L1 with one source.
struct L1 {
  Keyspace keyspace{{.budget_bytes = 8 << 20}};
  SourceId source = keyspace.add_source();

  bool fill(const KeyRef& key, ByteView value, UnixMs expire_at = kNoExpiry) {
    return keyspace.fill(key, value, expire_at, keyspace.epoch(key.hash), source,
                         keyspace.source_generation(source));
  }

  bool fill_answer(const KeyRef& key, ByteView question, ByteView reply, UnixMs expire_at = kNoExpiry) {
    return fill_answer(source, key, {question, reply}, expire_at);
  }

  bool fill_answer(SourceId from, const KeyRef& key, const Answer& answer, UnixMs expire_at = kNoExpiry) {
    return keyspace.fill_answer(key, answer, expire_at, keyspace.epoch(key.hash), from,
                                keyspace.source_generation(from));
  }

  std::optional<std::string> read(const KeyRef& key, UnixMs now_ms = kNow, ByteView question = {}) {
    std::optional<std::string> value;
    const Lookup lookup = keyspace.read(
        key, now_ms, [&](const Item& item) { value = item.value; }, question);
    CHECK((lookup == Lookup::hit) == value.has_value());
    return value;
  }
};

TEST_CASE("L1: a key has an answer to each question, and none is its value") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.fill_answer(key, "hget a", "1"));
  CHECK(l1.fill_answer(key, "hget b", ""));
  CHECK(l1.read(key, kNow, "hget a") == "1");
  CHECK(l1.read(key, kNow, "hget b") == "");
  CHECK_FALSE(l1.read(key, kNow, "hget c"));
  CHECK_FALSE(l1.read(key));
  CHECK(l1.fill_answer(key, "hget a", "2"));
  CHECK(l1.read(key, kNow, "hget a") == "2");
  CHECK(l1.keyspace.entries() == 1);
}

TEST_CASE("L1: whether something is known can be asked without a trace") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK_FALSE(l1.keyspace.knows(key, kNow));
  CHECK(l1.fill_answer(key, "q", "1", kNow + 10));
  CHECK(l1.keyspace.knows(key, kNow, "q"));
  CHECK_FALSE(l1.keyspace.knows(key, kNow, "other"));
  CHECK_FALSE(l1.keyspace.knows(key, kNow));
  CHECK_FALSE(l1.keyspace.knows(key, kNow + 10, "q"));
  CHECK(l1.keyspace.counters().hits + l1.keyspace.counters().misses == 0);
}

TEST_CASE("L1: a value takes the place of answers, and they of a value") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.fill_answer(key, "strlen", "3"));
  CHECK(l1.fill(key, "abc"));
  CHECK(l1.read(key) == "abc");
  CHECK(l1.read(key, kNow, "strlen") == "abc");  // whoever asks makes of it what the question wants
  CHECK(l1.fill_answer(key, "strlen", "3"));
  CHECK_FALSE(l1.read(key));
  CHECK(l1.read(key, kNow, "strlen") == "3");
}

TEST_CASE("L1: all answers are void with the key") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.fill_answer(key, "a", "1"));
  CHECK(l1.fill_answer(key, "b", "2"));
  l1.keyspace.void_key_everywhere("k");
  CHECK_FALSE(l1.read(key, kNow, "a"));
  CHECK_FALSE(l1.read(key, kNow, "b"));
}

TEST_CASE("L1: an answer that was sent before a write is not stored") {
  L1 l1;
  const KeyRef key(0, "k");
  const Epoch noted = l1.keyspace.epoch(key.hash);
  l1.keyspace.void_key(key);
  CHECK_FALSE(l1.keyspace.fill_answer(key, {"q", "old"}, kNoExpiry, noted, l1.source,
                                      l1.keyspace.source_generation(l1.source)));
  CHECK_FALSE(l1.read(key, kNow, "q"));
}

TEST_CASE("L1: answers of one key rest each on the source they came from") {
  L1 l1;
  const KeyRef key(0, "k");
  const SourceId other = l1.keyspace.add_source();
  CHECK(l1.fill_answer(other, key, {"theirs", "1"}));
  CHECK(l1.fill_answer(key, "mine", "2"));
  CHECK(l1.read(key, kNow, "theirs") == "1");
  l1.keyspace.void_source(other);
  CHECK_FALSE(l1.read(key, kNow, "theirs"));
  CHECK(l1.read(key, kNow, "mine") == "2");
  CHECK(l1.fill_answer(key, "more", "3"));
  CHECK_FALSE(l1.read(key, kNow, "theirs"));
  CHECK(l1.read(key, kNow, "mine") == "2");
}

TEST_CASE("L1: the first of its answers to expire takes the others along") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.fill_answer(key, "a", "1", kNow + 10));
  CHECK(l1.fill_answer(key, "b", "2"));
  CHECK(l1.read(key, kNow + 9, "b") == "2");
  CHECK_FALSE(l1.read(key, kNow + 10, "b"));
  CHECK_FALSE(l1.read(key, kNow + 10, "a"));
}

TEST_CASE("L1: the oldest answers of a key go when there are too many") {
  L1 l1;
  const KeyRef key(0, "k");
  const std::string large(10'000, 'x');
  for (int n = 0; n < 5; ++n) CHECK(l1.fill_answer(key, std::to_string(n), large));
  CHECK_FALSE(l1.read(key, kNow, "0"));
  CHECK(l1.read(key, kNow, "3") == large);
  CHECK(l1.read(key, kNow, "4") == large);
  CHECK(l1.keyspace.used_bytes() < 60'000);
}

TEST_CASE("L1: what was filled is read") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK_FALSE(l1.read(key));
  CHECK(l1.fill(key, "v"));
  CHECK(l1.read(key) == "v");
  CHECK_FALSE(l1.read(KeyRef(1, "k")));
  const KeyspaceCounters counters = l1.keyspace.counters();
  CHECK(counters.hits == 1);
  CHECK(counters.misses == 2);
  CHECK(counters.fills == 1);
}

TEST_CASE("L1: keys and values are binary-safe and may be empty") {
  L1 l1;
  const std::string bytes("\0\r\n\xff", 4);
  CHECK(l1.fill(KeyRef(0, bytes), bytes));
  CHECK(l1.fill(KeyRef(0, ""), ""));
  CHECK(l1.read(KeyRef(0, bytes)) == bytes);
  CHECK(l1.read(KeyRef(0, "")) == "");
}

TEST_CASE("L1: a fill replaces what was there, whatever its size") {
  L1 l1;
  const KeyRef key(0, "k");
  for (const std::size_t size : {1u, 1000u, 3u, 0u, 70'000u}) {
    const std::string value(size, 'x');
    CHECK(l1.fill(key, value));
    CHECK(l1.read(key) == value);
    CHECK(l1.keyspace.entries() == 1);
  }
}

TEST_CASE("L1: a fill is refused when the key was written since its read was sent") {
  L1 l1;
  const KeyRef key(0, "k");
  const Epoch noted = l1.keyspace.epoch(key.hash);
  const std::uint32_t generation = l1.keyspace.source_generation(l1.source);
  SUBCASE("by a write") {
    l1.keyspace.void_key(key);
  }
  SUBCASE("by an invalidation") {
    l1.keyspace.void_key_everywhere("k");
  }
  SUBCASE("by a flush") {
    l1.keyspace.void_all();
  }
  CHECK_FALSE(l1.keyspace.fill(key, "old", kNoExpiry, noted, l1.source, generation));
  CHECK_FALSE(l1.keyspace.fill_absent(key, kNoExpiry, noted, l1.source, generation));
  CHECK_FALSE(l1.read(key));
  CHECK(l1.keyspace.counters().refused_fills == 2);
  CHECK(l1.fill(key, "new"));
  CHECK(l1.read(key) == "new");
}

TEST_CASE("L1: a fill is refused when its source was voided since its read was sent") {
  L1 l1;
  const KeyRef key(0, "k");
  const std::uint32_t generation = l1.keyspace.source_generation(l1.source);
  l1.keyspace.void_source(l1.source);
  CHECK_FALSE(l1.keyspace.fill(key, "old", kNoExpiry, l1.keyspace.epoch(key.hash), l1.source, generation));
  CHECK_FALSE(l1.read(key));
}

TEST_CASE("L1: voiding a source voids its entries and no one else's") {
  L1 l1;
  const SourceId other = l1.keyspace.add_source();
  const KeyRef mine(0, "mine"), theirs(0, "theirs");
  CHECK(l1.fill(mine, "1"));
  CHECK(l1.keyspace.fill(theirs, "2", kNoExpiry, l1.keyspace.epoch(theirs.hash), other,
                         l1.keyspace.source_generation(other)));
  l1.keyspace.void_source(l1.source);
  CHECK_FALSE(l1.read(mine));
  CHECK(l1.read(theirs) == "2");
}

TEST_CASE("L1: void_key drops one database, void_key_everywhere all") {
  L1 l1;
  CHECK(l1.fill(KeyRef(0, "k"), "0"));
  CHECK(l1.fill(KeyRef(5, "k"), "5"));
  CHECK(l1.fill(KeyRef(9, "k"), "9"));
  l1.keyspace.void_key(KeyRef(0, "k"));
  CHECK_FALSE(l1.read(KeyRef(0, "k")));
  CHECK(l1.read(KeyRef(5, "k")) == "5");
  l1.keyspace.void_key_everywhere("k");
  CHECK_FALSE(l1.read(KeyRef(5, "k")));
  CHECK_FALSE(l1.read(KeyRef(9, "k")));
  CHECK(l1.keyspace.counters().invalidations == 3);
}

TEST_CASE("L1: void_all voids every entry at once") {
  L1 l1;
  for (int i = 0; i < 100; ++i) CHECK(l1.fill(KeyRef(i % 16, std::to_string(i)), "v"));
  l1.keyspace.void_all();
  for (int i = 0; i < 100; ++i) CHECK_FALSE(l1.read(KeyRef(i % 16, std::to_string(i))));
}

TEST_CASE("L1: an expired entry is never read") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.fill(key, "v", kNow + 10));
  CHECK(l1.read(key, kNow + 9) == "v");
  CHECK_FALSE(l1.read(key, kNow + 10));
  CHECK(l1.keyspace.entries() == 0);
  CHECK(l1.keyspace.counters().expired == 1);
}

TEST_CASE("L1: that a key does not exist is remembered until its time is up") {
  L1 l1;
  const KeyRef key(0, "k");
  CHECK(l1.keyspace.fill_absent(key, kNow + 10, l1.keyspace.epoch(key.hash), l1.source,
                                l1.keyspace.source_generation(l1.source)));
  const auto never = [](const Item&) { FAIL("absent keys have no value"); };
  CHECK(l1.keyspace.read(key, kNow, never) == Lookup::absent);
  CHECK(l1.keyspace.read(key, kNow + 10, never) == Lookup::miss);
  CHECK(l1.fill(key, "v"));
  CHECK(l1.read(key) == "v");
}

TEST_CASE("L1: an entry above an eighth of a shard's share is not taken") {
  L1 l1;
  CHECK_FALSE(l1.fill(KeyRef(0, "big"), std::string(2 << 20, 'x')));
  CHECK_FALSE(l1.read(KeyRef(0, "big")));
  CHECK(l1.fill(KeyRef(0, "small"), std::string(100'000, 'x')));
}

TEST_CASE("L1: turned off it holds nothing") {
  Keyspace off({.budget_bytes = 0});
  const SourceId source = off.add_source();
  const KeyRef key(0, "k");
  CHECK_FALSE(off.enabled());
  CHECK_FALSE(off.fill(key, "v", kNoExpiry, off.epoch(key.hash), source, off.source_generation(source)));
  CHECK(off.read(key, kNow, [](const Item&) {}) == Lookup::miss);
  CHECK(off.used_bytes() == 0);
}

TEST_CASE("L1: a fill that races with a write never leaves the old value behind") {
  L1 l1;
  const KeyRef key(0, "k");
  std::atomic<int> version{0};  // what the backend holds
  std::atomic<bool> stop{false};
  std::vector<std::thread> fillers;
  for (int i = 0; i < 3; ++i)
    fillers.emplace_back([&] {
      while (!stop) {
        const Epoch noted = l1.keyspace.epoch(key.hash);
        const std::uint32_t generation = l1.keyspace.source_generation(l1.source);
        const std::string value = std::to_string(version.load());
        l1.keyspace.fill(key, value, kNoExpiry, noted, l1.source, generation);
      }
    });
  int stale = 0;
  for (int i = 1; i <= 2000; ++i) {
    version = i;
    l1.keyspace.void_key(key);  // the write was answered: from here on nothing older may be read
    const std::optional<std::string> value = l1.read(key);
    if (value && std::stoi(*value) < i) ++stale;
    if (i % 100 == 0) l1.keyspace.void_source(l1.source);
  }
  stop = true;
  for (std::thread& filler : fillers) filler.join();
  CHECK(stale == 0);
}

}  // namespace
}  // namespace larder
