#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "server/monitor.h"
#include "server/redact.h"
#include "server/slowlog.h"

namespace larder {
namespace {

using Words = std::vector<ByteView>;

TEST_CASE("slowlog: the newest come first, and no more than fit") {
  Slowlog log;
  for (int i = 0; i < 5; ++i) log.add({.duration_us = i}, 3);
  CHECK(log.size() == 3);
  const auto entries = log.newest(2);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].duration_us == 4);
  CHECK(entries[0].id == 4);
  CHECK(entries[1].duration_us == 3);
  CHECK(log.newest(static_cast<std::size_t>(-1)).size() == 3);
}

TEST_CASE("slowlog: numbers go on after it was cleared") {
  Slowlog log;
  log.add({}, 10);
  log.clear();
  CHECK(log.size() == 0);
  log.add({}, 10);
  CHECK(log.newest(1)[0].id == 1);
}

TEST_CASE("slowlog: a smaller capacity takes effect with the next entry, none keeps none") {
  Slowlog log;
  for (int i = 0; i < 5; ++i) log.add({}, 10);
  log.add({}, 2);
  CHECK(log.size() == 2);
  log.add({}, 0);
  CHECK(log.size() == 0);
}

TEST_CASE("monitor: bytes are quoted as redis-cli prints them") {
  CHECK(quoted("abc") == "\"abc\"");
  CHECK(quoted("") == "\"\"");
  CHECK(quoted("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK(quoted("\n\r\t\a\b") == "\"\\n\\r\\t\\a\\b\"");
  CHECK(quoted(ByteView("\0\x1f\x7f\xff", 4)) == "\"\\x00\\x1f\\x7f\\xff\"");
  CHECK(quoted("é") == "\"\\xc3\\xa9\"");
}

TEST_CASE("monitor: a line has time, database, address and the words") {
  const Words argv{"SET", "k", "a b"};
  const std::string line = monitor_line(argv, 3, "127.0.0.1:5");
  CHECK(line.starts_with("+"));
  CHECK(line.find(".") == 11);
  CHECK(line.ends_with(" [3 127.0.0.1:5] \"SET\" \"k\" \"a b\"\r\n"));
}

TEST_CASE("redacted: no password is shown, everything else is") {
  struct Case {
    Words request, shown;
  };
  const std::array cases{
      Case{{"SET", "k", "secret"}, {"SET", "k", "secret"}},
      Case{{"AUTH", "secret"}, {"AUTH", "(redacted)"}},
      Case{{"auth", "user", "secret"}, {"auth", "(redacted)", "(redacted)"}},
      Case{{"HELLO", "3", "SETNAME", "n"}, {"HELLO", "3", "SETNAME", "n"}},
      Case{{"HELLO", "3", "AUTH", "u", "p", "SETNAME", "n"},
           {"HELLO", "3", "AUTH", "(redacted)", "(redacted)", "SETNAME", "n"}},
      Case{{"HELLO", "3", "AUTH", "u"}, {"HELLO", "3", "AUTH", "(redacted)"}},
      Case{{"CONFIG", "SET", "timeout", "1", "requirepass", "p"},
           {"CONFIG", "SET", "timeout", "1", "requirepass", "(redacted)"}},
      Case{{"ACL", "SETUSER", "u", "on", ">p"}, {"ACL", "SETUSER", "u", "(redacted)", "(redacted)"}},
      Case{{"ACL"}, {"ACL"}},
  };
  for (const Case& c : cases) CHECK(redacted(c.request) == c.shown);
}

}  // namespace
}  // namespace larder
