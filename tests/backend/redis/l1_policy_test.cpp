#include "backend/redis/l1_policy.h"

#include <doctest/doctest.h>

using namespace larder;
using namespace larder::redis;
using std::chrono::milliseconds;

namespace {

constexpr UnixMs kSent = 1'000'000;

UnixMs expiry(const L1Options& options, L1Policy::Fill fill) {
  fill.sent_ms = kSent;
  return L1Policy(options).expiry_of(fill);
}

}  // namespace

TEST_CASE("L1 policy: the longest prefix decides") {
  const L1Options options{
      .rules = {{"a:", Treatment::deny}, {"a:b:", Treatment::cache}, {"o", Treatment::observe}}};
  const L1Policy policy(options);
  CHECK(policy.has_rules());
  CHECK(policy.treatment("a:1") == Treatment::deny);
  CHECK(policy.treatment("a:b:1") == Treatment::cache);
  CHECK(policy.treatment("a") == Treatment::cache);
  CHECK(policy.treatment("order") == Treatment::observe);
  CHECK(policy.treatment("") == Treatment::cache);
}

TEST_CASE("L1 policy: entries live as long as their keys when nothing else is said") {
  CHECK(expiry({}, {.ttl_ms = -1, .tracked = true}) == kNoExpiry);
  CHECK(expiry({}, {.ttl_ms = 70, .tracked = true}) == kSent + 70);
  CHECK(expiry({}, {.ttl_ms = -2, .tracked = true, .absent = true}) == kNoExpiry);
}

TEST_CASE("L1 policy: the shortest of all limits holds") {
  const L1Options options{
      .untracked_ttl = milliseconds(50), .max_ttl = milliseconds(100), .negative_ttl = milliseconds(30)};
  CHECK(expiry(options, {.ttl_ms = -1, .tracked = true}) == kSent + 100);
  CHECK(expiry(options, {.ttl_ms = 70, .tracked = true}) == kSent + 70);
  CHECK(expiry(options, {.ttl_ms = -1, .tracked = false}) == kSent + 50);
  CHECK(expiry(options, {.ttl_ms = -2, .tracked = true, .absent = true}) == kSent + 30);
}

TEST_CASE("L1 policy: jitter shortens limits, never the life of a key") {
  const L1Options options{.max_ttl = milliseconds(1000), .ttl_jitter_percent = 20};
  bool differs = false;
  for (int n = 0; n < 100; ++n) {
    const UnixMs when = expiry(options, {.ttl_ms = -1, .tracked = true});
    CHECK(when >= kSent + 800);
    CHECK(when <= kSent + 1000);
    differs = differs || when != kSent + 1000;
    CHECK(expiry(options, {.ttl_ms = 500, .tracked = true}) == kSent + 500);
  }
  CHECK(differs);
}
