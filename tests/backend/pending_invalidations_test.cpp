#include "backend/pending_invalidations.h"

#include <utility>

#include <doctest/doctest.h>

namespace larder {

TEST_CASE("pending invalidations: one stays first until it has succeeded, the same one waits once") {
  PendingInvalidations pending;
  CHECK_FALSE(pending.first());
  pending.add({0, {.tags = {"a"}}});
  pending.add({1, {.tags = {"a"}}});
  pending.add({0, {.tags = {"a"}, .reach = TagQuery::Reach::exact}});
  pending.add({0, {.tags = {"a"}}});
  CHECK(pending.size() == 3);
  const auto first = pending.first();
  REQUIRE(first);
  CHECK(first->db == 0);
  CHECK(pending.first() == first);
  pending.remove(*first);
  CHECK(pending.size() == 2);
  CHECK(pending.first()->db == 1);
}

TEST_CASE("pending invalidations: one that is asked for again while it runs is run again") {
  PendingInvalidations pending;
  pending.add({0, {.tags = {"a"}}});
  const auto running = pending.first();
  pending.add({0, {.tags = {"a"}}});
  pending.remove(*running);
  CHECK(pending.size() == 1);
  pending.remove(*pending.first());
  CHECK(pending.size() == 0);
}

TEST_CASE("pending invalidations: what is tried is not given twice, and what fails comes behind the others") {
  PendingInvalidations pending;
  pending.add({0, {.tags = {"a"}}});
  pending.add({0, {.tags = {"b"}}});
  const auto a = pending.take(), b = pending.take();
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->query.tags.front() == "a");
  CHECK(b->query.tags.front() == "b");
  CHECK_FALSE(pending.take());
  pending.add({0, {.tags = {"b"}}});
  pending.give_back(*a);
  pending.remove(*b);
  CHECK(pending.size() == 2);
  CHECK(pending.take()->query.tags.front() == "b");
  CHECK(pending.take()->query.tags.front() == "a");
}

TEST_CASE("pending invalidations: what one holds it holds for the same one that came later too") {
  PendingInvalidations pending;
  auto first = std::make_shared<int>(), second = std::make_shared<int>();
  const std::weak_ptr<int> of_first = first, of_second = second;
  pending.add({0, {.tags = {"a"}}});
  pending.add({0, {.tags = {"a"}}, 1, std::move(first)});
  auto running = pending.take();
  pending.add({0, {.tags = {"a"}}, 1, std::move(second)});
  CHECK(of_second.expired());
  pending.remove(*std::exchange(running, std::nullopt));
  pending.give_back(*pending.take());
  CHECK_FALSE(of_first.expired());
  pending.remove(*pending.take());
  CHECK(of_first.expired());
}

}  // namespace larder
