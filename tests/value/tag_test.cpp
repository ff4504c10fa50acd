#include "value/tag.h"

#include <doctest/doctest.h>

namespace larder {
namespace {

TagSet set_of(std::vector<ByteView> words) {
  return *TagSet::parse(words);
}

std::vector<Bytes> numbered(int count) {
  std::vector<Bytes> tags;
  for (int i = 0; i < count; ++i) tags.push_back("t" + std::to_string(i));
  return tags;
}

}  // namespace

TEST_CASE("tag: one to eight segments, none of them empty, of any bytes") {
  for (const ByteView good : {"a", "user:1", "1:2:3:4:5:6:7:8", "a b", "\xff\xfe", "a;b", "exact"}) {
    CAPTURE(good);
    CHECK(check_tag(good));
  }
  CHECK(check_tag(ByteView("\0", 1)));
  for (const ByteView bad : {"", ":", "a:", ":a", "a::b", "1:2:3:4:5:6:7:8:9", "a:b:"}) {
    CAPTURE(bad);
    CHECK(check_tag(bad).error() == Errc::bad_tag);
  }
}

TEST_CASE("tag: 512 bytes are the most") {
  CHECK(check_tag(Bytes(512, 'x')));
  CHECK(check_tag(Bytes(513, 'x')).error() == Errc::tag_too_long);
}

TEST_CASE("tag: what lies below is told by segment, not by prefix") {
  CHECK(tag_covers("user:1", "user:1"));
  CHECK(tag_covers("user:1", "user:1:x"));
  CHECK(tag_covers("user", "user:1:x"));
  CHECK_FALSE(tag_covers("user:1", "user:10"));
  CHECK_FALSE(tag_covers("user:1", "user"));
  CHECK_FALSE(tag_covers("user:1:x", "user:1"));
  CHECK_FALSE(tag_covers("use", "user"));
}

TEST_CASE("tag set: sorted, distinct, at most 32") {
  CHECK(set_of({"b", "a", "b"}) == set_of({"a", "b"}));
  const std::vector<Bytes> many = numbered(33);
  std::vector<ByteView> words(many.begin(), many.end());
  CHECK(TagSet::parse(words).error() == Errc::too_many_tags);
  words.back() = words.front();
  CHECK(TagSet::parse(words)->size() == 32);
  const std::vector<ByteView> one_bad = {"a", "b:"};
  CHECK(TagSet::parse(one_bad).error() == Errc::bad_tag);
}

TEST_CASE("tag set: adding counts what is new, and nothing is added past the limit") {
  TagSet tags = set_of({"a", "b"});
  CHECK(*tags.add(set_of({"b", "c"})) == 1);
  CHECK(tags == set_of({"a", "b", "c"}));
  const std::vector<Bytes> many = numbered(30);
  const std::vector<ByteView> words(many.begin(), many.end());
  CHECK(tags.add(*TagSet::parse(words)).error() == Errc::too_many_tags);
  CHECK(tags.size() == 3);
  CHECK(tags.remove(set_of({"a", "x"})) == 1);
  CHECK(tags == set_of({"b", "c"}));
}

TEST_CASE("tag query: any or all of its tags, with what lies below or without") {
  const TagSet key = set_of({"org:7:user:9", "posts"});
  using enum TagQuery::Reach;
  using enum TagQuery::Need;
  CHECK(TagQuery{{"org:7"}, below, any}.matches(key));
  CHECK_FALSE(TagQuery{{"org:7"}, exact, any}.matches(key));
  CHECK(TagQuery{{"x", "posts"}, exact, any}.matches(key));
  CHECK_FALSE(TagQuery{{"x", "posts"}, below, all}.matches(key));
  CHECK(TagQuery{{"org", "posts"}, below, all}.matches(key));
  CHECK_FALSE(TagQuery{{"org", "posts"}, exact, all}.matches(key));
  CHECK_FALSE(TagQuery{{"org"}, below, any}.matches(TagSet()));
}

}  // namespace larder
