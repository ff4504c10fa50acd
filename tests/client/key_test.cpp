#include "larder/key.hpp"

#include <stdexcept>

#include <doctest/doctest.h>

using namespace larder;

TEST_CASE("client keys: segments are joined, numbers are decimal") {
  CHECK(make_key({"greeting"}) == "greeting");
  CHECK(make_key({"user", 123, std::string("posts")}) == "user:123:posts");
  CHECK(make_key({"temperature", -5}) == "temperature:-5");
  CHECK(make_tag({"org", 7U, "user", 9L}) == "org:7:user:9");
}

TEST_CASE("client keys: a segment that would change the path is refused") {
  CHECK_THROWS_AS(static_cast<void>(make_key({"user", "1:2"})), std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(make_key({"user", ""})), std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(make_key({})), std::invalid_argument);
  CHECK_THROWS_WITH(static_cast<void>(make_key({"a b"})), "the key has a space or a control character");
  CHECK_THROWS_WITH(static_cast<void>(make_tag({"a", "b", "c", "d", "e", "f", "g", "h", "i"})),
                    "the tag has more than 8 segments");
}

TEST_CASE("client keys: faults of foreign keys and tags are found") {
  const struct {
    std::string path;
    std::string key_fault, tag_fault;
  } cases[] = {
      {"user:1", "", ""},
      {"", "the key is empty", "the tag is empty"},
      {":user", "the key has an empty segment", "the tag has an empty segment"},
      {"user:", "the key has an empty segment", "the tag has an empty segment"},
      {"user::1", "the key has an empty segment", "the tag has an empty segment"},
      {"user\r\n", "the key has a space or a control character",
       "the tag has a space or a control character"},
      {"caf\xc3\xa9", "", ""},
      {"1:2:3:4:5:6:7:8", "", ""},
      {"1:2:3:4:5:6:7:8:9", "", "the tag has more than 8 segments"},
      {std::string(512, 'x'), "", ""},
      {std::string(513, 'x'), "the key is longer than 512 bytes", "the tag is longer than 512 bytes"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.path);
    CHECK(find_key_fault(one.path) == one.key_fault);
    CHECK(find_tag_fault(one.path) == one.tag_fault);
  }
}
