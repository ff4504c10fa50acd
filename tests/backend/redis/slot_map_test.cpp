#include "backend/redis/slot_map.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace larder;
using namespace larder::redis;

namespace {

const std::string kAsked = "10.0.0.9";

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// A node as Redis 7 writes it.
std::string node(std::string_view host, int port) {
  return "*4\r\n" + bulk(host) + ":" + std::to_string(port) + "\r\n" + bulk("id") + "*0\r\n";
}

std::string range(int first, int last, const std::vector<std::string>& nodes) {
  std::string out = "*" + std::to_string(2 + nodes.size()) + "\r\n:" + std::to_string(first) +
                    "\r\n:" + std::to_string(last) + "\r\n";
  for (const std::string& one : nodes) out += one;
  return out;
}

std::optional<SlotMap> parse(const std::string& reply) {
  return parse_cluster_slots(reply, kAsked);
}

}  // namespace

TEST_CASE("hash slot: as CLUSTER KEYSLOT of Redis 7.0 says") {
  struct Case {
    ByteView key;
    std::uint16_t slot;
  };
  for (const Case& c : std::vector<Case>{{"", 0},
                                         {"a", 15495},
                                         {"foo", 12182},
                                         {"123456789", 12739},
                                         {"{foo}", 12182},
                                         {"{foo}bar", 12182},
                                         {"x{foo}y{bar}", 12182},
                                         {"{foo", 13308},
                                         {"foo}", 15679},
                                         {"{}foo", 9500},
                                         {"foo{}", 5542},
                                         {"{}{foo}", 2263},
                                         {"{{foo}}", 13308},
                                         {"}{foo}", 12182},
                                         {ByteView("\x00\xff\r\n", 4), 6261}}) {
    CAPTURE(c.key);
    CHECK(hash_slot(c.key) == c.slot);
  }
}

TEST_CASE("slot map: masters in the order of their slots, replicas once, gaps are nobody's") {
  const auto map =
      parse("*3\r\n" + range(10923, 16383, {node("c", 3), node("x", 9)}) +
            range(0, 5460, {node("a", 1), node("x", 9), node("y", 8)}) + range(5461, 5461, {node("c", 3)}));
  REQUIRE(map);
  CHECK(map->masters == std::vector<Endpoint>{{"a", 1}, {"c", 3}});
  CHECK(map->replicas == std::vector<Endpoint>{{"x", 9}, {"y", 8}});
  CHECK(map->replicated == std::vector<std::uint16_t>{1, 0});  // by x, which names two, the first one
  CHECK(map->owner[0] == 0);
  CHECK(map->owner[5460] == 0);
  CHECK(map->owner[5461] == 1);
  CHECK(map->owner[5462] == SlotMap::kNobody);
  CHECK(map->owner[16383] == 1);
}

TEST_CASE("slot map: a node that does not know its address is the one that was asked") {
  for (const char* const host : {"$0\r\n\r\n", "$-1\r\n", "_\r\n", "$1\r\n?\r\n"}) {
    CAPTURE(host);
    const auto map =
        parse(std::string("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n") + host + ":7\r\n$2\r\nid\r\n%0\r\n");
    REQUIRE(map);
    CHECK(map->masters == std::vector<Endpoint>{{kAsked, 7}});
  }
  CHECK(parse("*0\r\n")->masters.empty());
  CHECK(parse("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:7\r\n")->masters.size() == 1);  // Redis 3
}

TEST_CASE("slot map: what is not a slot table is nothing") {
  const std::string a = node("a", 1);
  for (const std::string& reply : std::vector<std::string>{
           "-ERR This instance has cluster support disabled\r\n",
           "+OK\r\n",
           "$-1\r\n",
           "*-1\r\n",
           "%0\r\n",
           "*1\r\n:1\r\n",
           "*1\r\n*-1\r\n",
           "*1\r\n*2\r\n:0\r\n:1\r\n",
           "*1\r\n" + range(1, 0, {a}),
           "*1\r\n" + range(0, 16384, {a}),
           "*1\r\n" + range(-1, 5, {a}),
           "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" + a,
           "*1\r\n*3\r\n*1\r\n:0\r\n:1\r\n" + a,
           "*1\r\n*3\r\n:x\r\n:1\r\n" + a,
           "*1\r\n*3\r\n:0\r\n:1\r\n:5\r\n",
           "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n",
           "*1\r\n" + range(0, 1, {node("a", 0)}),
           "*1\r\n" + range(0, 1, {node("a", 65536)}),
           "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n*1\r\n$1\r\na\r\n:1\r\n",
           "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
           "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
           "*1\r\n" + range(0, 1, {a, ":1\r\n"}),
           "*2\r\n" + range(0, 5, {a}) + range(5, 9, {a}),
       }) {
    CAPTURE(reply);
    CHECK_FALSE(parse(reply));
  }
}

TEST_CASE("redirect: what a cluster answers instead of running a request") {
  const auto of = [](ByteView reply) { return parse_redirect(reply, kAsked); };
  const Redirect moved = of("-MOVED 3999 127.0.0.1:6381\r\n");
  CHECK(moved.kind == Redirect::Kind::moved);
  CHECK(moved.slot == 3999);
  CHECK(bool(moved.target == Endpoint{"127.0.0.1", 6381}));
  CHECK(of("-ASK 1 ::1:7\r\n").kind == Redirect::Kind::ask);
  CHECK(bool(of("-ASK 1 ::1:7\r\n").target == Endpoint{"::1", 7}));
  CHECK(bool(of("-MOVED 1 :7\r\n").target == Endpoint{kAsked, 7}));
  CHECK(of("-TRYAGAIN Multiple keys request during rehashing of slot\r\n").kind == Redirect::Kind::try_again);
  CHECK(of("-CLUSTERDOWN The cluster is down\r\n").kind == Redirect::Kind::cluster_down);
  CHECK(of("-READONLY You can't write against a read only replica.\r\n").kind == Redirect::Kind::read_only);
  for (const char* const other :
       {"-ERR x\r\n", "+OK\r\n", "-MOVED\r\n", "-MOVED 1\r\n", "-MOVED 1 h\r\n", "-MOVED 16384 h:1\r\n",
        "-MOVED x h:1\r\n", "-MOVED 1 h:0\r\n", "-MOVED 1 h:x\r\n", "-MOVED a:b c\r\n", "-MOVEDX 1 h:1\r\n",
        "-\r\n", "$5\r\nMOVED\r\n"}) {
    CAPTURE(other);
    CHECK(of(other).kind == Redirect::Kind::none);
  }
}
