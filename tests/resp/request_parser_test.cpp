#include "resp/request_parser.h"

#include <array>

#include <doctest/doctest.h>

#include "support/feed.h"

namespace larder {
namespace {

using test::feed;
using test::feed_at_every_split;
using test::feed_whole;
using test::Parsed;
using test::Words;
using namespace std::string_literals;

void expect_everywhere(std::string_view stream, const std::vector<Words>& requests) {
  const Parsed expected{.requests = requests};
  feed_at_every_split(stream, [&](const Parsed& parsed) { CHECK(parsed == expected); });
}

TEST_CASE("request parser: a request split anywhere is the same request") {
  expect_everywhere("*1\r\n$4\r\nPING\r\n", {{"PING"}});
  expect_everywhere("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", {{"SET", "k", ""}});
}

TEST_CASE("request parser: values are binary-safe") {
  const std::string value = "\r\n$1\r\n*2\0\xff"s;
  expect_everywhere("*2\r\n$4\r\nECHO\r\n$" + std::to_string(value.size()) + "\r\n" + value + "\r\n",
                    {{"ECHO", value}});
}

TEST_CASE("request parser: a pipeline yields its requests one by one") {
  expect_everywhere("*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n",
                    {{"GET", "a"}, {"PING"}, {"GET", "b"}});
}

TEST_CASE("request parser: empty arrays and empty lines are passed over") {
  expect_everywhere("*0\r\n\r\n*-1\r\n\n  \r\n*1\r\n$4\r\nPING\r\n", {{"PING"}});
}

TEST_CASE("request parser: inline words and quotes are those of redis-cli") {
  struct Case {
    std::string line;
    Words words;
  };
  const std::array cases{
      Case{"SET k v", {"SET", "k", "v"}},
      Case{"  SET\tk   v  ", {"SET", "k", "v"}},
      Case{"ECHO \"a b\"", {"ECHO", "a b"}},
      Case{"ECHO 'a b'", {"ECHO", "a b"}},
      Case{"ECHO ''", {"ECHO", ""}},
      Case{"ECHO \"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\"", {"ECHO", "A\n\r\t\b\a\\\"q"}},
      Case{"ECHO \"\\x4\"", {"ECHO", "x4"}},
      Case{"ECHO \"\\xzz\"", {"ECHO", "xzz"}},
      Case{"ECHO 'it\\'s' '\\n'", {"ECHO", "it's", "\\n"}},
      Case{"ECHO a'b c'", {"ECHO", "ab c"}},
      Case{"\v\fECHO a\vb\fc \v d", {"ECHO", "a\vb\fc", "d"}},
      Case{"ECHO \"a\"\vb", {"ECHO", "a", "b"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.line);
    expect_everywhere(c.line + "\r\n", {c.words});
    expect_everywhere(c.line + "\n", {c.words});
  }
}

TEST_CASE("request parser: a malformed stream is refused at every split") {
  struct Case {
    std::string stream;
    Errc error;
  };
  const std::string long_line(64 * 1024 + 1, 'a');
  const std::array cases{
      Case{"*x\r\n", Errc::bad_multibulk_length},
      Case{"*01\r\n", Errc::bad_multibulk_length},
      Case{"* 1\r\n", Errc::bad_multibulk_length},
      Case{"*\r\n", Errc::bad_multibulk_length},
      Case{"*99999999999999999999\r\n", Errc::bad_multibulk_length},
      Case{"*1\r\n:1\r\n", Errc::expected_dollar},
      Case{"*1\r\n$-1\r\n", Errc::bad_bulk_length},
      Case{"*1\r\n$x\r\n", Errc::bad_bulk_length},
      Case{"*1\r\n$536870913\r\n", Errc::bad_bulk_length},
      Case{"ECHO \"a\r\n", Errc::unbalanced_quotes},
      Case{"ECHO 'a\r\n", Errc::unbalanced_quotes},
      Case{"ECHO \"a\"b\r\n", Errc::unbalanced_quotes},
  };
  for (const Case& c : cases) {
    CAPTURE(c.stream);
    feed_at_every_split(c.stream, [&](const Parsed& parsed) { CHECK(parsed == Parsed{.error = c.error}); });
  }
  CHECK(feed_whole(long_line).error == Errc::inline_too_long);
  CHECK(feed_whole(std::string(1, '\0') + "\r\n" + long_line).error == Errc::inline_too_long);
  CHECK(feed_whole("*" + long_line).error == Errc::multibulk_count_too_long);
  CHECK(feed_whole("*1\r\n$" + long_line).error == Errc::bulk_length_too_long);
}

TEST_CASE("request parser: the byte in place of '$' is reported") {
  RequestParser parser;
  CHECK(parser.parse("*1\r\n?1\r\n", {}).has_error());
  CHECK(parser.unexpected_byte() == '?');
}

TEST_CASE("request parser: limits are narrow before authentication") {
  const RequestLimits stranger{.authenticated = false};
  CHECK(feed_whole("*11\r\n", stranger).error == Errc::unauthenticated_multibulk_length);
  CHECK(feed_whole("*1\r\n$16385\r\n", stranger).error == Errc::unauthenticated_bulk_length);
  const std::string largest = "*1\r\n$16384\r\n" + std::string(16384, 'x') + "\r\n";
  CHECK(feed_whole(largest, stranger).requests.size() == 1);
}

TEST_CASE("request parser: a bulk may be as long as the limit and no longer") {
  const RequestLimits limits{.max_bulk_bytes = 4};
  CHECK(feed_whole("*1\r\n$4\r\nPING\r\n", limits).requests.size() == 1);
  CHECK(feed_whole("*1\r\n$5\r\nPINGS\r\n", limits).error == Errc::bad_bulk_length);
}

TEST_CASE("request parser: memory follows what arrived, not what was announced") {
  RequestParser parser;
  CHECK(*parser.parse("*1048576\r\n$536870912\r\nabc", {}) == RequestParser::Status::need_more);
  CHECK(parser.heap_bytes() < 1024);
  CHECK(parser.missing_bytes() == 536870912 + 2 - 3);
}

TEST_CASE("request parser: arguments that arrived whole can be seen before the rest") {
  RequestParser parser;
  const std::string_view input = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nabc";
  CHECK(*parser.parse(input, {}) == RequestParser::Status::need_more);
  CHECK(parser.partial_argv(input) == std::vector<ByteView>{"SET", "k"});
}

TEST_CASE("request parser: tells inline requests from arrays") {
  RequestParser parser;
  CHECK(*parser.parse("PING\r\n", {}) == RequestParser::Status::ready);
  CHECK(parser.is_inline());
  CHECK(*parser.parse("*1\r\n$4\r\nPING\r\n", {}) == RequestParser::Status::ready);
  CHECK_FALSE(parser.is_inline());
}

TEST_CASE("request parser: shrinking between two parts of a request loses nothing") {
  std::string stream = "*3000\r\n";
  for (int i = 0; i < 3000; ++i) stream += "$1\r\nx\r\n";
  RequestParser parser;
  CHECK(*parser.parse(std::string_view(stream).substr(0, stream.size() - 3), {}) ==
        RequestParser::Status::need_more);
  parser.shrink();
  CHECK(*parser.parse(stream, {}) == RequestParser::Status::ready);
  CHECK(parser.argv().size() == 3000);
  CHECK(parser.consumed() == stream.size());
}

}  // namespace
}  // namespace larder
