#include "resp/reply_writer.h"

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include <doctest/doctest.h>
#include <hiredis/hiredis.h>

namespace larder {
namespace {

using namespace std::string_literals;
using Write = std::function<void(ReplyWriter&)>;

std::string written(Protocol protocol, const Write& write) {
  Bytes out;
  ReplyWriter writer(out, protocol);
  write(writer);
  return out;
}

struct Case {
  Write write;
  std::string resp2, resp3;
};

TEST_CASE("reply writer: every value in both protocols") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::array cases{
      Case{[](ReplyWriter& w) { w.ok(); }, "+OK\r\n", "+OK\r\n"},
      Case{[](ReplyWriter& w) { w.error("ERR a\r\nb"); }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
      Case{[](ReplyWriter& w) { w.integer(std::numeric_limits<std::int64_t>::min()); },
           ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"},
      Case{[](ReplyWriter& w) { w.bulk("a\0\r\n"s); }, "$4\r\na\0\r\n\r\n"s, "$4\r\na\0\r\n\r\n"s},
      Case{[](ReplyWriter& w) { w.bulk(""); }, "$0\r\n\r\n", "$0\r\n\r\n"},
      Case{[](ReplyWriter& w) { w.null(); }, "$-1\r\n", "_\r\n"},
      Case{[](ReplyWriter& w) { w.null_array(); }, "*-1\r\n", "_\r\n"},
      Case{[](ReplyWriter& w) { w.boolean(true); }, ":1\r\n", "#t\r\n"},
      Case{[](ReplyWriter& w) { w.boolean(false); }, ":0\r\n", "#f\r\n"},
      Case{[](ReplyWriter& w) { w.real(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n"},
      Case{[&](ReplyWriter& w) { w.real(-infinity); }, "$4\r\n-inf\r\n", ",-inf\r\n"},
      Case{[](ReplyWriter& w) { w.real(std::nan("")); }, "$3\r\nnan\r\n", ",nan\r\n"},
      Case{[](ReplyWriter& w) { w.verbatim("txt", "hi"); }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
      Case{[](ReplyWriter& w) { w.begin_array(2); }, "*2\r\n", "*2\r\n"},
      Case{[](ReplyWriter& w) { w.begin_map(2); }, "*4\r\n", "%2\r\n"},
      Case{[](ReplyWriter& w) { w.begin_set(2); }, "*2\r\n", "~2\r\n"},
      Case{[](ReplyWriter& w) { w.begin_push(2); }, "*2\r\n", ">2\r\n"},
  };
  for (const Case& c : cases) {
    CHECK(written(Protocol::resp2, c.write) == c.resp2);
    CHECK(written(Protocol::resp3, c.write) == c.resp3);
  }
}

// --- hiredis as the oracle of RESP2 ---

using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

/// Reads exactly one reply, which the bytes must be.
Reply read_back(const std::string& bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  void* reply = nullptr;
  CHECK(redisReaderFeed(reader.get(), bytes.data(), bytes.size()) == REDIS_OK);
  CHECK(redisReaderGetReply(reader.get(), &reply) == REDIS_OK);
  REQUIRE(reply != nullptr);
  void* second = nullptr;
  CHECK(redisReaderGetReply(reader.get(), &second) == REDIS_OK);
  CHECK(second == nullptr);
  return {static_cast<redisReply*>(reply), freeReplyObject};
}

std::string_view text(const redisReply& reply) {
  return {reply.str, static_cast<std::size_t>(reply.len)};
}

TEST_CASE("reply writer: hiredis reads back what was written") {
  const std::string binary("\0\r\n$5\r\n\xff", 9);
  const Reply reply = read_back(written(Protocol::resp2, [&](ReplyWriter& w) {
    w.begin_array(7);
    w.simple("PONG");
    w.error("ERR no");
    w.integer(-42);
    w.bulk(binary);
    w.null();
    w.null_array();
    w.begin_map(1);
    w.bulk("pi");
    w.real(3.25);
  }));
  REQUIRE(reply->type == REDIS_REPLY_ARRAY);
  REQUIRE(reply->elements == 7);
  redisReply** const element = reply->element;
  CHECK(element[0]->type == REDIS_REPLY_STATUS);
  CHECK(text(*element[0]) == "PONG");
  CHECK(element[1]->type == REDIS_REPLY_ERROR);
  CHECK(text(*element[1]) == "ERR no");
  CHECK(element[2]->type == REDIS_REPLY_INTEGER);
  CHECK(element[2]->integer == -42);
  CHECK(element[3]->type == REDIS_REPLY_STRING);
  CHECK(text(*element[3]) == binary);
  CHECK(element[4]->type == REDIS_REPLY_NIL);
  CHECK(element[5]->type == REDIS_REPLY_NIL);
  REQUIRE(element[6]->elements == 2);
  CHECK(text(*element[6]->element[1]) == "3.25");
}

TEST_CASE("reply writer: large and empty bulks survive the way through hiredis") {
  for (const std::size_t size : {0u, 1u, 9u, 10u, 99u, 100u, 65536u, 1u << 20}) {
    const std::string value(size, 'v');
    const Reply reply = read_back(written(Protocol::resp2, [&](ReplyWriter& w) { w.bulk(value); }));
    CHECK(text(*reply) == value);
  }
}

}  // namespace
}  // namespace larder
