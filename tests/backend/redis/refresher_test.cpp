#include "backend/redis/refresher.h"

#include <doctest/doctest.h>

using larder::redis::Refresher;

TEST_CASE("refresher: one question at a time, the next one after an interval with jitter") {
  Refresher refresher(1);
  CHECK(refresher.is_due(0));
  refresher.begin(1000);
  CHECK_FALSE(refresher.is_due(2000));
  refresher.answered(2000);
  CHECK_FALSE(refresher.is_due(2000 + Refresher::kUsualUs * 3 / 4 - 1));
  CHECK(refresher.is_due(2000 + Refresher::kUsualUs * 5 / 4));
}

TEST_CASE("refresher: hints make it sooner, a thousand of them no more than one") {
  Refresher refresher(1);
  refresher.begin(0);
  refresher.answered(1000);
  for (int i = 0; i < 1000; ++i) refresher.hint();
  CHECK_FALSE(refresher.is_due(Refresher::kHintedUs * 3 / 4 - 1));
  CHECK(refresher.is_due(Refresher::kHintedUs * 5 / 4));
  refresher.hurry();
  CHECK(refresher.is_due(Refresher::kTroubledUs * 5 / 4));
}

TEST_CASE("refresher: a node that is silent or gone is not waited for") {
  Refresher refresher(1);
  const auto first = refresher.begin(0);
  CHECK_FALSE(refresher.is_due(Refresher::kPatienceUs - 1));
  CHECK(refresher.is_due(Refresher::kPatienceUs));
  const auto second = refresher.begin(Refresher::kPatienceUs);
  refresher.failed(first, Refresher::kPatienceUs + 1);
  CHECK_FALSE(refresher.is_due(Refresher::kPatienceUs * 2 - 1));
  refresher.failed(second, Refresher::kPatienceUs + 1);
  CHECK(refresher.is_due(Refresher::kPatienceUs + 1 + Refresher::kTroubledUs * 5 / 4));
}
