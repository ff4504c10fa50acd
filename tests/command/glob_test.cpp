#include "command/glob.h"

#include <doctest/doctest.h>

namespace larder {
namespace {

struct Row {
  ByteView pattern;
  ByteView text;
  bool matches;
};

// Each row was asked of Redis 7.0.15 (KEYS over the one key `text`).
constexpr Row kRows[] = {
    {"a", "a", true},
    {"a", "b", false},
    {"a", "", false},
    {"", "a", false},
    {"h?llo", "hello", true},
    {"h?llo", "hllo", false},
    {"h*llo", "heeeello", true},
    {"h*llo", "hllo", true},
    {"h*llo", "hell", false},
    {"*llo", "hello", true},
    {"hel*", "hel", true},
    {"hel**", "hel", true},
    {"*", "anything", true},
    {"**", "", false},
    {"*a*b*", "xxaxxbxx", true},
    {"*a*b*", "xxbxxaxx", false},
    {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaa", false},
    {"h[ae]llo", "hallo", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"h[a-c]llo", "hbllo", true},
    {"h[c-a]llo", "hbllo", true},
    {"h[a-c]llo", "hdllo", false},
    {"[a-]", "-", false},
    {"[a-]", "a", true},
    {"[]", "]", false},
    {"[]a]", "]a]", false},
    {"[\\]]", "]", true},
    {"[a\\-c]", "-", true},
    {"[a\\-c]", "b", false},
    {"[abc", "b", true},
    {"[abc", "bc", false},
    {"[^", "x", true},
    {"[", "[", false},
    {"a[", "a", false},
    {"[^]", "x", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    {"a\\", "a", false},
    {"\\a", "a", true},
    {"[a-\\]", "\\", true},
    {"[a-\\]", "]", true},
    {"[\x80-\xff]", "\x90", true},
    {"[a-\xff]", "z", false},
    {"?", "\xc3", true},
    {"A", "a", false},
};

}  // namespace

TEST_CASE("glob: matches what Redis matches") {
  for (const Row& row : kRows) {
    CAPTURE(row.pattern);
    CAPTURE(row.text);
    CHECK(glob_matches(row.pattern, row.text) == row.matches);
  }
}

TEST_CASE("glob: case is ignored when asked, outside of escapes in a class") {
  CHECK(glob_matches("MAX*", "maxmemory", LetterCase::ignored));
  CHECK(glob_matches("[A-C]b", "BB", LetterCase::ignored));
  CHECK(glob_matches("\\A", "a", LetterCase::ignored));
  CHECK_FALSE(glob_matches("[\\A]", "a", LetterCase::ignored));
}

TEST_CASE("glob: many stars cost pattern times text, not more") {
  const Bytes text(20'000, 'a');
  Bytes pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  CHECK_FALSE(glob_matches(pattern + "b", text));
}

}  // namespace larder
