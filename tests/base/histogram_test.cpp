#include "base/histogram.h"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace larder;

TEST_CASE("histogram: buckets follow one another without gap or overlap") {
  std::uint64_t expected_first = 0;
  for (std::size_t i = 0; i + 1 < histogram_buckets::kCount; ++i) {
    const std::uint64_t last = histogram_buckets::upper_bound(i);
    REQUIRE(histogram_buckets::index_of(expected_first) == i);
    REQUIRE(histogram_buckets::index_of(last) == i);
    REQUIRE((last - expected_first + 1) * 8 <= expected_first + 8);
    expected_first = last + 1;
  }
  CHECK(histogram_buckets::index_of(expected_first) == histogram_buckets::kCount - 1);
  CHECK(histogram_buckets::index_of(UINT64_MAX) == histogram_buckets::kCount - 1);
}

TEST_CASE("histogram: nothing counted is zero everywhere") {
  const HistogramSnapshot empty = Histogram().snapshot();
  CHECK(empty.count() == 0);
  CHECK(empty.percentile_us(50) == 0);
  CHECK(empty.max_us == 0);
}

TEST_CASE("histogram: percentiles are at most an eighth above the truth and never above the maximum") {
  Histogram histogram;
  for (int us = 1; us <= 1000; ++us) histogram.record(us);
  const HistogramSnapshot seen = histogram.snapshot();
  CHECK(seen.count() == 1000);
  CHECK(seen.max_us == 1000);
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const double truth = percent * 10;
    CHECK(static_cast<double>(seen.percentile_us(percent)) >= truth);
    CHECK(static_cast<double>(seen.percentile_us(percent)) <= truth * 1.125 + 1);
  }
  CHECK(seen.percentile_us(100) == 1000);
  CHECK(seen.count_up_to(7) == 7);
}

TEST_CASE("histogram: values out of range are clamped, not lost") {
  Histogram histogram;
  histogram.record(-5);
  histogram.record(std::int64_t{1} << 40);
  const HistogramSnapshot seen = histogram.snapshot();
  CHECK(seen.count() == 2);
  CHECK(seen.count_up_to(0) == 1);
  CHECK(seen.percentile_us(100) == std::uint64_t{1} << 40);
}

TEST_CASE("histogram: merge adds, reset forgets") {
  Histogram one;
  Histogram two;
  one.record(10);
  two.record(2000);
  HistogramSnapshot both = one.snapshot();
  both.merge(two.snapshot());
  CHECK(both.count() == 2);
  CHECK(both.max_us == 2000);
  one.reset();
  CHECK(one.snapshot().count() == 0);
  CHECK(one.snapshot().max_us == 0);
}

TEST_CASE("histogram: threads that record at once lose nothing") {
  Histogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&histogram, t] {
      for (int i = 0; i < 10'000; ++i) histogram.record(i * (t + 1));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(histogram.snapshot().count() == 40'000);
  CHECK(histogram.snapshot().max_us == 39'996);
}
