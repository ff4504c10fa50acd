#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "keyspace/answers.h"
#include "keyspace/keyspace.h"
#include "keyspace/support.h"

// What is still shown of a source that was lost.

namespace larder {
namespace {

constexpr UnixMs kUntil = kNow + 500;

/// An L1 whose only source has brought `k` and then was lost.
struct LostL1 {
  Keyspace keyspace{{.budget_bytes = 8 << 20}};
  SourceId source = keyspace.add_source();
  KeyRef key{0, "k"};

  explicit LostL1(UnixMs expire_at = kNoExpiry) {
    fill("v", expire_at);
    keyspace.lose_source(source, kUntil);
  }

  bool fill(ByteView value, UnixMs expire_at = kNoExpiry) {
    return keyspace.fill(key, value, expire_at, keyspace.epoch(key.hash), source,
                         keyspace.source_generation(source));
  }

  std::optional<std::string> read(UnixMs now_ms = kNow) {
    std::optional<std::string> value;
    keyspace.read(key, now_ms, [&](const Item& item) { value = item.value; });
    return value;
  }

  std::optional<std::string> read_stale(UnixMs now_ms = kNow, ByteView question = {}) {
    std::optional<std::string> value;
    keyspace.read_stale(
        key, now_ms, [&](const Item& item) { value = item.value; }, question);
    return value;
  }
};

TEST_CASE("stale: what was lost is void, and is shown to those who accept it") {
  LostL1 l1;
  CHECK_FALSE(l1.read());
  CHECK(l1.read_stale() == "v");
  CHECK_FALSE(l1.read());  // being asked for does not bring it back
  CHECK(l1.read_stale() == "v");
}

TEST_CASE("stale: not beyond its limit, which further losses do not move") {
  LostL1 l1;
  CHECK(l1.read_stale(kUntil - 1) == "v");
  l1.keyspace.lose_source(l1.source, kUntil + 1000);
  CHECK(l1.read_stale(kUntil - 1) == "v");
  CHECK_FALSE(l1.read_stale(kUntil));
}

TEST_CASE("stale: not beyond the key's life") {
  LostL1 l1(kNow + 100);
  CHECK(l1.read_stale(kNow + 99) == "v");
  CHECK_FALSE(l1.read_stale(kNow + 100));
}

TEST_CASE("stale: not after a write or an invalidation of the key was heard of") {
  LostL1 written;
  written.keyspace.void_key(written.key);
  CHECK_FALSE(written.read_stale());
  LostL1 invalidated;
  invalidated.keyspace.void_key_everywhere("k");
  CHECK_FALSE(invalidated.read_stale());
}

TEST_CASE("stale: not after everything, or the source, was voided for good") {
  LostL1 flushed;
  flushed.keyspace.void_all();
  CHECK_FALSE(flushed.read_stale());
  flushed.keyspace.lose_source(flushed.source, kUntil);  // what was flushed stays so
  CHECK_FALSE(flushed.read_stale());
  LostL1 voided;
  voided.keyspace.void_source(voided.source);
  CHECK_FALSE(voided.read_stale());
}

TEST_CASE("stale: not once the source is back; what it brings then can be lost again") {
  LostL1 l1;
  l1.keyspace.forget_stale(l1.source);
  CHECK_FALSE(l1.read_stale());
  CHECK(l1.fill("new"));
  CHECK(l1.read() == "new");
  l1.keyspace.lose_source(l1.source, kUntil + 1000);
  CHECK_FALSE(l1.read());
  CHECK(l1.read_stale(kUntil) == "new");
}

TEST_CASE("stale: what another source brings meanwhile takes its place") {
  LostL1 l1;
  const SourceId other = l1.keyspace.add_source();
  CHECK(l1.keyspace.fill(l1.key, "new", kNoExpiry, l1.keyspace.epoch(l1.key.hash), other,
                         l1.keyspace.source_generation(other)));
  CHECK(l1.read() == "new");
  CHECK(l1.read_stale() == "new");
}

TEST_CASE("stale: the sweep leaves it until its limit") {
  LostL1 l1(kNow + 10'000);
  CHECK(l1.keyspace.sweep(1000, kNow) == 0);
  CHECK(l1.read_stale() == "v");
  CHECK(l1.keyspace.sweep(1000, kUntil) == 1);
  CHECK(l1.keyspace.entries() == 0);
}

TEST_CASE("stale: answers to questions as well") {
  LostL1 l1;
  l1.keyspace.forget_stale(l1.source);
  CHECK(l1.keyspace.fill_answer(l1.key, {"hget a", "1"}, kNoExpiry, l1.keyspace.epoch(l1.key.hash), l1.source,
                                l1.keyspace.source_generation(l1.source)));
  l1.keyspace.lose_source(l1.source, kUntil);
  CHECK(l1.read_stale(kNow, "hget a") == "1");
  CHECK_FALSE(l1.read_stale(kNow, "hget b"));
  CHECK_FALSE(l1.read_stale(kUntil, "hget a"));
}

}  // namespace
}  // namespace larder
