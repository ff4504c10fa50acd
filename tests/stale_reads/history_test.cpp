#include "stale_reads/history.h"

#include <doctest/doctest.h>

using namespace larder::stale;

namespace {

constexpr PathId kA = 0, kB = 1;
constexpr Limits kLimits{.bound_us = 100, .linger_us = 1000};

Verdict verdict(const History& history, PathId path, Version version, TimeUs begun) {
  return history.judge({path, version, begun, begun + 5}, kLimits).verdict;
}

/// Versions 1 and 2, written through A from 1000 to 1010 and from 2000 to 2010.
void write_twice(History& history) {
  for (const TimeUs at : {1000, 2000}) {
    const Version version = history.begin_write(at);
    history.end_write(version, version - 1, kA, at + 10);
  }
}

}  // namespace

TEST_CASE("stale reads: a value is good until its successor is known, and within the bound elsewhere") {
  History history;
  write_twice(history);
  CHECK(verdict(history, kA, 1, 2009) == Verdict::good);
  CHECK(verdict(history, kA, 1, 2011) == Verdict::older_than_own_write);
  CHECK(verdict(history, kB, 1, 2100) == Verdict::good);
  CHECK(verdict(history, kB, 1, 2111) == Verdict::older_than_bound);
  CHECK(verdict(history, kB, 2, 9000) == Verdict::good);
  CHECK(verdict(history, kB, kAbsent, 1005) == Verdict::good);
  CHECK(verdict(history, kA, kAbsent, 1011) == Verdict::older_than_own_write);
  CHECK(history.judge({kB, 1, 2050, 2055}, kLimits).stale_us == 40);
  CHECK(history.judge({kA, 1, 2000, 2005}, kLimits).stale_us == 0);
}

TEST_CASE("stale reads: a value that comes before it is sent, or from nowhere, was never written") {
  History history;
  write_twice(history);
  CHECK(verdict(history, kA, 2, 1990) == Verdict::never_written);
  CHECK(verdict(history, kA, 3, 3000) == Verdict::never_written);
}

TEST_CASE("stale reads: what a write found instead of the last answered one had come back") {
  History history;
  write_twice(history);
  history.end_write(history.begin_write(5000), 1, kB, 5010);  // a failover has lost version 2
  CHECK(history.lost_writes() == 1);
  CHECK(verdict(history, kA, 1, 4000) == Verdict::good);
  CHECK(verdict(history, kA, 1, 5111) == Verdict::older_than_bound);
  CHECK(verdict(history, kA, 2, 5111) == Verdict::older_than_bound);
}

TEST_CASE("stale reads: once the backend itself has shown the loss, the lost version is stale") {
  History history;
  write_twice(history);
  const History::Shown seen = history.shows();
  CHECK(history.observe(seen, 1, 3000));
  CHECK(history.lost_writes() == 1);
  CHECK_FALSE(history.is_current(history.shows(), 2));
  CHECK(history.is_current(history.shows(), 1));
  CHECK(verdict(history, kA, 2, 3100) == Verdict::good);
  CHECK(verdict(history, kA, 2, 3101) == Verdict::older_than_bound);
  CHECK(verdict(history, kA, 1, 9000) == Verdict::good);
}

TEST_CASE("stale reads: what a load before this one has left is no surprise") {
  History history;
  CHECK(history.observe(history.shows(), 7, 100));
  CHECK(verdict(history, kA, 7, 50) == Verdict::good);
  CHECK(history.begin_write(200) == 8);
}

TEST_CASE("stale reads: the backend's word does not count beside a write") {
  History history;
  const History::Shown seen = history.shows();
  const Version version = history.begin_write(1000);
  CHECK_FALSE(history.observe(seen, kAbsent, 1005));
  CHECK_FALSE(history.observe(history.shows(), kAbsent, 1005));
  history.end_write(version, kAbsent, kA, 1010);
  CHECK_FALSE(history.observe(seen, kAbsent, 1015));
}

TEST_CASE("stale reads: a write without an answer may take effect late, but not for ever") {
  History history;
  write_twice(history);
  history.doubt_write(history.begin_write(3000));
  history.end_write(history.begin_write(3100), 2, kA, 3110);
  CHECK(history.lost_writes() == 0);
  CHECK(verdict(history, kA, 3, 3500) == Verdict::good);
  CHECK(verdict(history, kB, 3, 4050) == Verdict::good);
  CHECK(verdict(history, kB, 3, 4101) == Verdict::older_than_bound);
  CHECK(verdict(history, kB, 2, 3211) == Verdict::older_than_bound);
}

TEST_CASE("stale reads: a flush empties the key, unless it ran beside a write") {
  History history;
  write_twice(history);
  history.flushed(history.shows(), kA, 3000, 3010);
  CHECK(verdict(history, kA, 2, 3011) == Verdict::older_than_own_write);
  CHECK(verdict(history, kB, 2, 3111) == Verdict::older_than_bound);
  CHECK(verdict(history, kB, kAbsent, 3005) == Verdict::good);
  CHECK(history.lost_writes() == 0);

  History busy;
  write_twice(busy);
  const History::Shown seen = busy.shows();
  const Version version = busy.begin_write(3000);
  busy.flushed(seen, kA, 3000, 3010);
  busy.end_write(version, 2, kA, 3010);
  CHECK(verdict(busy, kA, version, 3500) == Verdict::good);
  CHECK(verdict(busy, kA, kAbsent, 3500) == Verdict::good);
}

TEST_CASE("stale reads: what is current is seen at once") {
  History history;
  write_twice(history);
  const History::Shown seen = history.shows();
  CHECK(history.is_current(seen, 2));
  CHECK_FALSE(history.is_current(seen, 1));
  CHECK_FALSE(history.is_current(seen, kAbsent));
  history.begin_write(3000);
  CHECK(history.is_current(seen, 3));
}
