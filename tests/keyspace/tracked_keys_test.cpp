#include "keyspace/tracked_keys.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "keyspace/keyspace.h"
#include "keyspace/support.h"

namespace larder {
namespace {

/// Keeps what is told.
class Heard final : public TrackedKeys::Audience {
 public:
  void tell(std::span<const ReaderId> readers, ByteView key) override {
    const std::lock_guard lock(mutex_);
    for (const ReaderId reader : readers) keys_[reader].emplace_back(key);
  }
  void tell_all() override { ++everything; }
  void broadcast(ByteView key, ReaderId author) override {
    const std::lock_guard lock(mutex_);
    broadcasts.emplace_back(Bytes(key), author);
  }

  /// What the reader was told since the last time.
  [[nodiscard]] std::vector<Bytes> take(ReaderId reader) {
    const std::lock_guard lock(mutex_);
    return std::exchange(keys_[reader], {});
  }

  std::atomic<int> everything{0};
  std::vector<std::pair<Bytes, ReaderId>> broadcasts;

 private:
  std::mutex mutex_;
  std::map<ReaderId, std::vector<Bytes>> keys_;
};

using Told = std::vector<Bytes>;
constexpr ReaderId kAnn = 1, kBob = 2;

/// A table with an audience; Ann and Bob track what they read.
struct Tracked {
  Heard heard;
  TrackedKeys table;

  Tracked() {
    table.set_audience(&heard);
    table.join(TrackedKeys::Mode::reads);
    table.join(TrackedKeys::Mode::reads);
  }
};

TEST_CASE("tracked keys: readers are told of a change once") {
  Tracked t;
  t.table.add("a", kAnn);
  t.table.add("a", kAnn);
  t.table.add("a", kBob);
  t.table.add("b", kBob);
  CHECK(t.table.keys() == 2);
  CHECK(t.table.items() == 3);
  t.table.changed("a");
  t.table.changed("a");
  t.table.changed("c");
  CHECK(t.heard.take(kAnn) == Told{"a"});
  CHECK(t.heard.take(kBob) == Told{"a"});
  CHECK(t.table.keys() == 1);
  t.table.add("a", kAnn);
  t.table.changed("a");
  CHECK(t.heard.take(kAnn) == Told{"a"});
}

TEST_CASE("tracked keys: an author is forgotten unsaid") {
  Tracked t;
  t.table.add("a", kAnn);
  t.table.add("a", kBob);
  t.table.changed("a", kAnn);
  t.table.changed("a");
  CHECK(t.heard.take(kAnn).empty());
  CHECK(t.heard.take(kBob) == Told{"a"});
}

TEST_CASE("tracked keys: everything may have changed") {
  Tracked t;
  t.table.add("a", kAnn);
  t.table.all_changed();
  t.table.changed("a");
  CHECK(t.heard.everything == 1);
  CHECK(t.heard.take(kAnn).empty());
  CHECK(t.table.items() == 0);
}

TEST_CASE("tracked keys: above the bound keys are told of though nobody changed them") {
  Tracked t;
  t.table.set_most_keys(100);
  for (int i = 0; i < 1000; ++i) t.table.add("k" + std::to_string(i), kAnn);
  CHECK(t.table.keys() == 100);
  CHECK(t.heard.take(kAnn).size() == 900);
  t.table.set_most_keys(1);
  t.table.add("more", kBob);
  CHECK(t.table.keys() == 1);
}

TEST_CASE("tracked keys: a time to live that nobody else tells of") {
  Tracked t;
  t.table.add("a", kAnn);
  t.table.add("b", kAnn);
  t.table.expires("a", 100);
  t.table.expires("b", 100);
  t.table.expires("nobody's", 100);
  t.table.expires("b", 200);
  t.table.expire(99);
  CHECK(t.heard.take(kAnn).empty());
  t.table.expire(100);
  CHECK(t.heard.take(kAnn) == Told{"a"});
  t.table.changed("b");
  CHECK(t.heard.take(kAnn) == Told{"b"});
  t.table.expire(1000);
  CHECK(t.heard.take(kAnn).empty());
}

TEST_CASE("tracked keys: BCAST hears of every change, and the last client takes the table along") {
  Tracked t;
  t.table.changed("a");
  CHECK(t.heard.broadcasts.empty());
  t.table.join(TrackedKeys::Mode::all);
  t.table.changed("a", kAnn);
  CHECK(t.heard.broadcasts == std::vector<std::pair<Bytes, ReaderId>>{{"a", kAnn}});
  t.table.leave(TrackedKeys::Mode::all);
  t.table.add("a", kAnn);
  t.table.leave(TrackedKeys::Mode::reads);
  CHECK(t.table.keys() == 1);
  t.table.leave(TrackedKeys::Mode::reads);
  CHECK(t.table.keys() == 0);
  CHECK_FALSE(t.table.any());
}

TEST_CASE("tracked keys: BCAST may be left to what is behind") {
  Tracked t;
  t.table.leave_broadcasts();
  t.table.broadcast("a");
  t.table.join(TrackedKeys::Mode::all);
  CHECK(t.table.anyone_wants_all());
  t.table.add("a", kBob);
  t.table.changed("a", kAnn);
  CHECK(t.heard.take(kBob) == Told{"a"});
  CHECK(t.heard.broadcasts.empty());
  t.table.broadcast("a");
  CHECK(t.heard.broadcasts == std::vector<std::pair<Bytes, ReaderId>>{{"a", 0}});
  t.table.leave(TrackedKeys::Mode::all);
  CHECK_FALSE(t.table.anyone_wants_all());
}

/// A keyspace in which Ann tracks what she reads.
struct TrackedKeyspace {
  Heard heard;
  Keyspace keyspace;

  explicit TrackedKeyspace(const Keyspace::Options& options = roomy()) : keyspace(options) {
    keyspace.tracked().set_audience(&heard);
    keyspace.tracked().join(TrackedKeys::Mode::reads);
  }

  /// What Ann is told when, after she has read `k`, that happens.
  template <class Change>
  [[nodiscard]] Told after(Change change) {
    keyspace.tracked().add("k", kAnn);
    change();
    return heard.take(kAnn);
  }

  void put(ByteView name, UnixMs expire_at = kNoExpiry, UnixMs now_ms = kNow) {
    const KeyRef key(0, name);
    Keyspace::Locked(keyspace, {&key, 1}, now_ms).put(key, "v", expire_at);
  }
};

TEST_CASE("keyspace as a store: whatever changes a key is told") {
  TrackedKeyspace t;
  const KeyRef key(0, "k");
  const auto locked = [&](auto change, UnixMs now_ms = kNow) {
    return t.after([&] {
      Keyspace::Locked records(t.keyspace, {&key, 1}, now_ms);
      change(records);
    });
  };
  CHECK(locked([&](Records& r) { r.put(key, "v", kNoExpiry); }) == Told{"k"});
  CHECK(locked([&](Records& r) { r.edit(key, 3)[0] = 'x'; }) == Told{"k"});
  CHECK(locked([&](Records& r) { r.set_expiry(key, kNow + 10); }) == Told{"k"});
  CHECK(locked([&](Records& r) { (void)r.find(key); }).empty());
  CHECK(locked([&](Records& r) { (void)r.find(key); }, kNow + 10) == Told{"k"});
  CHECK(locked([&](Records& r) { r.erase(key); }).empty());
  t.put("k", kNow + 10);
  CHECK(t.heard.take(kAnn) == Told{"k"});  // it was still noted
  CHECK(t.after([&] { t.keyspace.sweep(1000, kNow + 10); }) == Told{"k"});
  t.put("k");
  CHECK(locked([&](Records& r) { r.erase(key); }) == Told{"k"});
  CHECK(t.heard.everything == 0);
  t.keyspace.clear(0);
  t.keyspace.clear_all();
  t.keyspace.swap(0, 1);
  CHECK(t.heard.everything == 3);
}

TEST_CASE("keyspace as a store: what is evicted is told") {
  TrackedKeyspace t({.budget_bytes = 64 << 10});
  t.keyspace.tracked().add("k", kAnn);
  t.put("k");
  CHECK(t.heard.take(kAnn) == Told{"k"});
  t.keyspace.tracked().add("k", kAnn);
  for (int i = 0; i < 10'000; ++i) t.put("other" + std::to_string(i));
  CHECK(t.heard.take(kAnn) == Told{"k"});
}

TEST_CASE("keyspace as an L1: what is voided is told, what only leaves L1 is not") {
  TrackedKeyspace t;
  const SourceId source = t.keyspace.add_source();
  const KeyRef key(0, "k");
  const auto fill = [&](UnixMs expire_at) {
    CHECK(t.keyspace.fill(key, "v", expire_at, t.keyspace.epoch(key.hash), source,
                          t.keyspace.source_generation(source)));
  };
  fill(kNow + 10);
  CHECK(t.after([&] { t.keyspace.sweep(1000, kNow + 10); }).empty());
  fill(kNoExpiry);
  CHECK(t.after([&] { t.keyspace.void_key_early(key); }).empty());
  CHECK(t.after([&] { t.keyspace.void_key(key); }) == Told{"k"});
  CHECK(t.after([&] { t.keyspace.void_key(key, kAnn); }).empty());
  CHECK(t.after([&] { t.keyspace.void_key_everywhere("k"); }) == Told{"k"});
  t.keyspace.void_all_early();
  CHECK(t.heard.everything == 0);
  t.keyspace.void_all();
  t.keyspace.void_source(source);
  t.keyspace.lose_source(source, kNow);
  CHECK(t.heard.everything == 3);
}

TEST_CASE("tracked keys: who reads and writers elsewhere, at the same time") {
  TrackedKeyspace t;
  const KeyRef key(0, "k");
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 1; i <= 20'000; ++i) {
      Keyspace::Locked records(t.keyspace, {&key, 1}, kNow);
      records.put(key, std::to_string(i), kNoExpiry);
    }
    done = true;
  });
  // Ann keeps what she read last until she is told: when all is over it is the last value, or nothing.
  Bytes kept;
  bool has_it = false;
  for (bool last_round = false; !last_round;) {
    last_round = done;
    t.keyspace.tracked().add("k", kAnn);
    {
      Keyspace::Locked records(t.keyspace, {&key, 1}, kNow);
      const auto found = records.find(key);
      has_it = found.has_value();
      if (found) kept = found->value;
    }
    if (!t.heard.take(kAnn).empty()) has_it = false;
  }
  writer.join();
  if (!t.heard.take(kAnn).empty()) has_it = false;
  CHECK((!has_it || kept == "20000"));
}

TEST_CASE("tracked keys: what is watched is touched by a change, and is no client") {
  TrackedKeys tracked;
  const auto watched = [] { return std::make_shared<std::atomic<bool>>(false); };
  const TrackedKeys::Touched first = watched(), second = watched();
  tracked.watch("a", first);
  tracked.watch("b", first);
  tracked.watch("a", second);
  CHECK(tracked.any());
  CHECK(tracked.clients() == 0);
  tracked.changed("c");
  CHECK_FALSE(*first);
  tracked.unwatch("a", first);
  tracked.changed("a");
  CHECK_FALSE(*first);
  CHECK(*second);
  tracked.changed("b");
  CHECK(*first);
  tracked.unwatch("b", first);
  tracked.unwatch("a", second);
  CHECK_FALSE(tracked.any());
  CHECK(tracked.keys() == 0);
}

TEST_CASE("tracked keys: whatever may have changed touches what is watched") {
  TrackedKeys tracked;
  Heard heard;
  tracked.set_audience(&heard);
  const auto touched = std::make_shared<std::atomic<bool>>(false);
  tracked.watch("a", touched);
  tracked.all_changed();
  CHECK(*touched);
  tracked.unwatch("a", touched);
}

TEST_CASE("tracked keys: under the lock of all shards the keyspace may be called, and a watch is touched") {
  // Of few shards: ThreadSanitizer follows 64 locks at most.
  Keyspace keyspace({.budget_bytes = 1 << 20, .eviction = Eviction::none});
  Heard heard;
  keyspace.tracked().set_audience(&heard);
  const auto touched = std::make_shared<std::atomic<bool>>(false);
  const KeyRef key(0, "k");
  {
    Keyspace::Locked all(keyspace, kNow, Keyspace::Locked::AllShards(), 0);
    all.put(key, "v", kNoExpiry);
    CHECK(keyspace.size(0) == 1);
    keyspace.swap(0, 1);
    CHECK(keyspace.size(1) == 1);
    keyspace.swap(0, 1);
    keyspace.tracked().watch("k", touched);
    CHECK(all.erase(key));
  }
  CHECK(*touched);
  keyspace.tracked().unwatch("k", touched);
}

}  // namespace
}  // namespace larder
