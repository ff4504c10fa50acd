#include "backend/redis/breaker.h"

#include <doctest/doctest.h>

using larder::redis::Breaker;
using larder::redis::BreakerOptions;
using State = Breaker::State;

namespace {

using namespace std::chrono_literals;

constexpr BreakerOptions kOptions{.failures = 3, .window = 1000ms, .pause = 100ms, .patience = 50ms};
constexpr std::int64_t kMs = 1000;

/// One that has just opened, at 0.
Breaker opened() {
  Breaker breaker(kOptions);
  for (int i = 0; i < 3; ++i) breaker.failed(0);
  return breaker;
}

}  // namespace

TEST_CASE("breaker: only failures in a row open it") {
  Breaker breaker(kOptions);
  CHECK_FALSE(breaker.failed(1));
  CHECK_FALSE(breaker.failed(2));
  CHECK_FALSE(breaker.succeeded());
  CHECK_FALSE(breaker.failed(3));
  CHECK_FALSE(breaker.failed(4));
  CHECK(breaker.is_closed());
  CHECK(breaker.failed(5));
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.failed(6));
  CHECK(breaker.openings() == 1);
}

TEST_CASE("breaker: failures that are far apart do not open it") {
  Breaker breaker(kOptions);
  breaker.failed(0);
  breaker.failed(900 * kMs);
  CHECK_FALSE(breaker.failed(1001 * kMs));  // the first of a new row
  CHECK_FALSE(breaker.failed(1002 * kMs));
  CHECK(breaker.failed(1003 * kMs));
}

TEST_CASE("breaker: one probe after a pause, whose answer closes it") {
  Breaker breaker = opened();
  CHECK_FALSE(breaker.wants_probe(100 * kMs - 1));
  CHECK(breaker.wants_probe(100 * kMs));
  CHECK(breaker.state() == State::half_open);
  CHECK_FALSE(breaker.wants_probe(101 * kMs));
  CHECK_FALSE(breaker.is_closed());
  CHECK(breaker.succeeded());
  CHECK(breaker.is_closed());
  CHECK_FALSE(breaker.failed(102 * kMs));  // and it takes as many failures as before
}

TEST_CASE("breaker: probes that fail or are not answered come after longer and longer pauses") {
  Breaker breaker = opened();
  std::int64_t now = 0;
  for (const std::int64_t pause_ms : {100, 200, 400, 400}) {
    CHECK_FALSE(breaker.wants_probe(now + pause_ms * kMs - 1));
    CHECK(breaker.wants_probe(now += pause_ms * kMs));
    if (pause_ms == 200) {
      CHECK_FALSE(breaker.failed(now += kMs));
    } else {
      CHECK_FALSE(breaker.wants_probe(now += 50 * kMs));
    }
    CHECK(breaker.state() == State::open);
  }
  CHECK(breaker.openings() == 1);
  breaker.succeeded();
  for (int i = 0; i < 3; ++i) breaker.failed(now);
  CHECK(breaker.wants_probe(now + 100 * kMs));  // the first pause again
}

TEST_CASE("breaker: a late answer closes it at any time") {
  Breaker breaker = opened();
  CHECK(breaker.succeeded());
  CHECK(breaker.is_closed());
}

TEST_CASE("breaker: with no number of failures it never opens") {
  constexpr BreakerOptions kOff{.failures = 0};
  Breaker breaker(kOff);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(breaker.failed(i));
  CHECK(breaker.is_closed());
}
