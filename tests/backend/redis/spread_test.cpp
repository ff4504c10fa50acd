#include "backend/redis/spread.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "backend/redis/gather.h"
#include "backend/redis/hash_slot.h"
#include "backend/redis/request_keys.h"

using namespace larder;
using namespace larder::redis;

namespace {

std::string merged(Spread spread, const std::vector<Bytes>& parts,
                   const std::vector<std::uint32_t>& of_key = {}) {
  Bytes out;
  ReplyWriter writer(out, Protocol::resp2);
  merge_replies(spread, parts, of_key, writer);
  return out;
}

std::vector<std::uint32_t> positions(std::vector<ByteView> argv, KeyRange range = {}) {
  std::vector<std::uint32_t> found;
  append_key_positions(find_key_rule(argv[0]), range, argv, found);
  return found;
}

using At = std::vector<std::uint32_t>;

class Client final : public Caller {
 public:
  Ticket defer() override { return ++open, 7; }
  ReplyWriter reply_to(Ticket) override { return {bytes, Protocol::resp2}; }
  void finish(Ticket) override { --open; }
  std::size_t pending() const noexcept override { return open; }
  Bytes bytes;
  std::size_t open = 0;
};

}  // namespace

TEST_CASE("spread: replies of several nodes make one") {
  CHECK(merged(Spread::counts, {":2\r\n", ":0\r\n", ":40\r\n"}) == ":42\r\n");
  CHECK(merged(Spread::sum, {":1\r\n"}) == ":1\r\n");
  CHECK(merged(Spread::least, {":2\r\n", ":1\r\n", ":3\r\n"}) == ":1\r\n");
  CHECK(merged(Spread::pairs, {"+OK\r\n", "+OK\r\n"}) == "+OK\r\n");
  CHECK(merged(Spread::values, {"*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n_\r\n"}, {0, 1, 0}) ==
        "*3\r\n$1\r\na\r\n_\r\n$-1\r\n");
  CHECK(merged(Spread::concatenate, {"*0\r\n", "*2\r\n$1\r\na\r\n$0\r\n\r\n", "*1\r\n$1\r\nb\r\n"}) ==
        "*3\r\n$1\r\na\r\n$0\r\n\r\n$1\r\nb\r\n");
  CHECK(merged(Spread::unite, {"*2\r\n$1\r\nb\r\n$1\r\na\r\n", "*0\r\n", "*1\r\n$1\r\nb\r\n"}) ==
        "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(merged(Spread::sum_named,
               {"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n", "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:0\r\n"}) ==
        "*4\r\n$1\r\na\r\n:3\r\n$1\r\nb\r\n:0\r\n");
  CHECK(merged(Spread::every_flag, {"*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:1\r\n"}) == "*2\r\n:0\r\n:1\r\n");
  CHECK(merged(Spread::pick, {"$-1\r\n", "$1\r\nk\r\n", "_\r\n"}) == "$1\r\nk\r\n");
  CHECK(merged(Spread::pick, {"$-1\r\n", "$-1\r\n"}) == "$-1\r\n");
  CHECK(merged(Spread::keyspace,
               {"$35\r\n# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=9\r\n\r\n", "$12\r\n# Keyspace\r\n\r\n",
                "$35\r\n# Keyspace\r\ndb0:keys=6,expires=1,avg_ttl=0\r\n\r\n"}) ==
        "$45\r\n# Keyspace\r\ndb0:keys=11,expires=3,avg_ttl=0\r\n\r\n");
}

TEST_CASE("spread: the first error is the reply, unless one success is enough") {
  CHECK(merged(Spread::counts, {":2\r\n", "-ERR a\r\n", "-ERR b\r\n"}) == "-ERR a\r\n");
  CHECK(merged(Spread::values, {"*1\r\n$-1\r\n", "-ERR b\r\n"}, {0, 1}) == "-ERR b\r\n");
  CHECK(merged(Spread::any_succeeds, {"-NOTBUSY a\r\n", "+OK\r\n"}) == "+OK\r\n");
  CHECK(merged(Spread::any_succeeds, {"-NOTBUSY a\r\n", "-NOTBUSY b\r\n"}) == "-NOTBUSY a\r\n");
  CHECK(merged(Spread::any_succeeds, {"-NOTBUSY a\r\n", "-UNKILLABLE b\r\n"}) == "-UNKILLABLE b\r\n");
}

TEST_CASE("spread: a SCAN goes from master to master behind one cursor") {
  const auto scanned = [](ByteView part, ScanCursor asked, std::optional<std::uint16_t> next) {
    Bytes out;
    ReplyWriter writer(out, Protocol::resp2);
    merge_scan(part, asked, next, writer);
    return out;
  };
  CHECK(ScanCursor::unpack(0).of_node == 0);
  CHECK(ScanCursor::unpack(ScanCursor{123456789, 5461}.pack()).of_node == 123456789);
  CHECK(ScanCursor::unpack(ScanCursor{123456789, 5461}.pack()).slot == 5461);
  CHECK(ScanCursor{(std::uint64_t{1} << 39) - 1, 16383}.pack() < std::uint64_t{1} << 53);
  CHECK(scanned("*2\r\n$1\r\n3\r\n*1\r\n$1\r\na\r\n", {0, 2}, 9) == "*2\r\n$5\r\n49154\r\n*1\r\n$1\r\na\r\n");
  CHECK(scanned("*2\r\n$1\r\n0\r\n*0\r\n", {3, 2}, 9) == "*2\r\n$1\r\n9\r\n*0\r\n");
  CHECK(scanned("*2\r\n$1\r\n0\r\n*0\r\n", {3, 9}, std::nullopt) == "*2\r\n$1\r\n0\r\n*0\r\n");
  CHECK(scanned("-ERR syntax error\r\n", {3, 9}, 10) == "-ERR syntax error\r\n");
}

TEST_CASE("request keys: where the keys stand") {
  CHECK(positions({"get", "k"}, {1, 1, 1}) == At{1});
  CHECK(positions({"mset", "a", "1", "b", "2"}, {1, -1, 2}) == At{1, 3});
  CHECK(positions({"ping"}) == At{});
  CHECK(positions({"eval", "s", "2", "a", "b", "c"}) == At{3, 4});
  CHECK(positions({"eval", "s", "0", "a"}) == At{});
  CHECK(positions({"eval", "s", "3", "a", "b"}) == At{});
  CHECK(positions({"eval", "s", "x", "a"}) == At{});
  CHECK(positions({"eval", "s", "-1", "a"}) == At{});
  CHECK(positions({"eval", "s"}) == At{});
  CHECK(positions({"zunionstore", "d", "2", "a", "b", "WEIGHTS", "1", "2"}) == At{1, 3, 4});
  CHECK(positions({"sintercard", "2", "a", "b", "LIMIT", "1"}) == At{2, 3});
  CHECK(positions({"xread", "COUNT", "2", "streams", "a", "b", "0", "0"}) == At{4, 5});
  CHECK(positions({"xread", "STREAMS", "a", "b", "0"}) == At{});
  CHECK(positions({"sort", "k", "BY", "w_*", "STORE", "d"}) == At{1, 5});
  CHECK(positions({"sort", "k"}) == At{1});
  CHECK(positions({"georadius", "k", "1", "2", "3", "m", "STOREDIST", "d"}) == At{1, 7});
  CHECK(positions({"migrate", "h", "1", "k", "0", "9"}) == At{3});
  CHECK(positions({"migrate", "h", "1", "", "0", "9", "COPY", "KEYS", "a", "b"}) == At{8, 9});
}

TEST_CASE("split: a part for each slot, its keys in the order of the request") {
  const std::vector<ByteView> argv{"MSET", "{a}1", "x", "b", "y", "{a}2", "z"};
  Split split(argv, At{1, 3, 5}, 2);
  REQUIRE(split.parts().size() == 2);
  CHECK(split.parts()[0].slot == hash_slot("a"));
  CHECK(split.parts()[0].argv == std::vector<ByteView>{"MSET", "{a}1", "x", "{a}2", "z"});
  CHECK(split.parts()[1].argv == std::vector<ByteView>{"MSET", "b", "y"});
  CHECK(split.take_part_of_key() == At{0, 1, 0});
}

TEST_CASE("gather: the client is answered once, when the last part is") {
  Client client;
  Bytes direct;
  ReplyWriter reply(direct, Protocol::resp2);
  const Request request{nullptr, {}, {}, 0, client, reply};
  Gather gather;

  gather.start(request, Spread::sum, 2);
  gather.begin(0) = ":1\r\n";
  gather.finish_now();
  static_cast<void>(gather.begin(1));
  const Ticket part = gather.defer();
  CHECK(gather.settle(request) == Step::pending);
  CHECK_FALSE(gather.is_done());
  gather.reply_to(part).integer(2);
  gather.finish(part);
  CHECK(gather.is_done());
  CHECK(client.bytes == ":3\r\n");
  CHECK(client.open == 0);

  gather.start(request, Spread::sum, 1);
  gather.begin(0) = ":5\r\n";
  gather.finish_now();
  CHECK(gather.settle(request) == Step::done);
  CHECK(gather.is_done());
  CHECK(direct == ":5\r\n");
}
