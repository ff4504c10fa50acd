#include "command/tags.h"

#include <doctest/doctest.h>

#include "command/desk.h"

// Tags are Larder's own: no Redis recorded these answers.
namespace larder {
namespace {

constexpr ByteView kBadTag = "-ERR a tag has 1 to 8 segments joined by ':', and none of them is empty\r\n";
constexpr ByteView kTooMany = "-ERR a key has, and a command names, at most 32 tags\r\n";

Bytes list_of(Desk& desk, const Bytes& key) {
  Bytes reply = desk.ask("TAGLIST " + key), tags;
  for (std::size_t at = reply.find('$'); at != Bytes::npos; at = reply.find('$', at + 1)) {
    const std::size_t begin = reply.find('\n', at) + 1;
    tags += (tags.empty() ? "" : " ") + reply.substr(begin, reply.find('\r', begin) - begin);
  }
  return tags;
}

Bytes numbered(int count) {
  Bytes words;
  for (int i = 0; i < count; ++i) words += " t" + std::to_string(i);
  return words;
}

}  // namespace

TEST_CASE("tags: SET replaces them, plain writes keep them") {
  Desk desk;
  CHECK(desk.ask("SET k v TAGS 2 posts user:1") == "+OK\r\n");
  CHECK(desk.ask("TAGLIST k") == "*2\r\n$5\r\nposts\r\n$6\r\nuser:1\r\n");
  for (const ByteView write :
       {"SET k longer-than-before", "APPEND k x", "EXPIRE k 100", "PERSIST k", "GETEX k PX 5000",
        "SETRANGE k 200 x", "SETEX k 10 1", "INCR k", "MSET k 2 l 3", "GETSET k 4"}) {
    CAPTURE(write);
    CHECK(desk.ask(write)[0] != '-');
    CHECK(list_of(desk, "k") == "posts user:1");
  }
  desk.ask("SET k v TAGS 1 other");
  CHECK(list_of(desk, "k") == "other");
  desk.ask("SET k v TAGS 0");
  CHECK(list_of(desk, "k").empty());
}

TEST_CASE("tags: TAGS stands anywhere among SET's options, and a SET that does not write changes none") {
  Desk desk;
  CHECK(desk.ask("SET k v NX TAGS 1 a PX 5000") == "+OK\r\n");
  CHECK(desk.ask("PTTL k") == ":5000\r\n");
  CHECK(desk.ask("SET k w TAGS 1 b NX") == "$-1\r\n");
  CHECK(desk.ask("SET none w TAGS 1 b XX") == "$-1\r\n");
  CHECK(list_of(desk, "k") == "a");
  CHECK(desk.ask("SET k w TAGS 2 get EX GET KEEPTTL") == "$1\r\nv\r\n");
  CHECK(list_of(desk, "k") == "EX get");
  CHECK(desk.ask("PTTL k") == ":5000\r\n");
  CHECK(desk.ask("SET k w PXAT 1 TAGS 1 a") == "+OK\r\n");
  CHECK(desk.ask("EXISTS k") == ":0\r\n");
}

TEST_CASE("tags: what is wrong with TAGS is told and changes nothing") {
  Desk desk;
  desk.ask("SET k v TAGS 1 a");
  CHECK(desk.ask("SET k w TAGS") == "-ERR syntax error\r\n");
  CHECK(desk.ask("SET k w TAGS 2 x") == "-ERR syntax error\r\n");
  CHECK(desk.ask("SET k w TAGS -1") == "-ERR syntax error\r\n");
  CHECK(desk.ask("SET k w TAGS 1 x TAGS 1 y") == "-ERR syntax error\r\n");
  CHECK(desk.ask("SET k w TAGS x y") == "-ERR value is not an integer or out of range\r\n");
  CHECK(desk.ask("SET k w TAGS 1 x:") == kBadTag);
  CHECK(desk.ask("SET k w TAGS 1 " + Bytes(513, 'x')) == "-ERR a tag has at most 512 bytes\r\n");
  CHECK(desk.ask("SET k w TAGS 33" + numbered(33)) == kTooMany);
  CHECK(desk.ask("TAGADD k b" + numbered(31)) == kTooMany);
  CHECK(desk.ask("TAGADD k ''") == kBadTag);
  CHECK(desk.ask("TAGREM k a::b") == kBadTag);
  CHECK(list_of(desk, "k") == "a");
  CHECK(desk.ask("GET k") == "$1\r\nv\r\n");
}

TEST_CASE("tags: TAGADD and TAGREM count what changes") {
  Desk desk;
  CHECK(desk.ask("TAGADD none a") == ":0\r\n");
  CHECK(desk.ask("TAGLIST none") == "*0\r\n");
  desk.ask("SET k v");
  CHECK(desk.ask("TAGADD k b a b") == ":2\r\n");
  CHECK(desk.ask("TAGADD k b c") == ":1\r\n");
  CHECK(desk.ask("TAGREM k a x") == ":1\r\n");
  CHECK(list_of(desk, "k") == "b c");
  CHECK(desk.ask("TAGREM k b c") == ":2\r\n");
  CHECK(desk.ask("TAGREM none a") == ":0\r\n");
  CHECK(desk.ask("GET k") == "$1\r\nv\r\n");
}

TEST_CASE("tags: RENAME and MOVE take them along, COPY copies them, and those of the target go") {
  Desk desk;
  desk.ask("SET a v TAGS 1 x");
  desk.ask("SET b v TAGS 1 y");
  desk.ask("SET plain v");
  desk.ask("RENAME a b");
  CHECK(list_of(desk, "b") == "x");
  desk.ask("COPY b c");
  CHECK(list_of(desk, "c") == "x");
  CHECK(list_of(desk, "b") == "x");
  desk.ask("RENAME plain c");
  CHECK(list_of(desk, "c").empty());
  desk.ask("RENAME b b");
  CHECK(list_of(desk, "b") == "x");
  desk.ask("MOVE b 3");
  CHECK(list_of(desk, "b").empty());
  desk.db = 3;
  CHECK(list_of(desk, "b") == "x");
  CHECK(desk.ask("TAGCOUNT x") == ":1\r\n");
}

TEST_CASE("tags: a key that is gone comes back without them") {
  Desk desk;
  for (const ByteView end : {"DEL k", "UNLINK k", "GETDEL k", "PEXPIRE k 0", "PEXPIRE k 1"}) {
    CAPTURE(end);
    desk.ask("SET k v TAGS 1 a");
    desk.ask(end);
    desk.now_ms += 2;
    desk.ask("SET k v");
    CHECK(list_of(desk, "k").empty());
    CHECK(desk.ask("TAGCOUNT a") == ":0\r\n");
  }
  desk.ask("SET k v TAGS 1 a");
  desk.ask("FLUSHDB");
  desk.ask("SET k v");
  CHECK(desk.ask("TAGCOUNT a") == ":0\r\n");
}

TEST_CASE("tags: TAGINVALIDATE drops what carries the tag or one below it") {
  Desk desk;
  desk.ask("SET a v TAGS 1 user:1");
  desk.ask("SET b v TAGS 2 user:1:x posts");
  desk.ask("SET c v TAGS 1 user:10");
  desk.ask("SET d v TAGS 1 user");
  CHECK(desk.ask("TAGCOUNT user") == ":4\r\n");
  CHECK(desk.ask("TAGCOUNT user:1") == ":2\r\n");
  CHECK(desk.ask("TAGCOUNT user:1 EXACT") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE user:1 EXACT") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE user:1") == ":1\r\n");
  CHECK(desk.ask("TAGCOUNT posts") == ":0\r\n");
  CHECK(desk.ask("TAGINVALIDATE user:1 user:10") == ":1\r\n");
  CHECK(desk.ask("DBSIZE") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE user async") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE a::b") == kBadTag);
}

TEST_CASE("tags: ALL needs all of them, and the first word is always a tag") {
  Desk desk;
  desk.ask("SET a v TAGS 2 x:1 y");
  desk.ask("SET b v TAGS 1 x");
  desk.ask("SET c v TAGS 1 all");
  CHECK(desk.ask("TAGINVALIDATE x y EXACT ALL") == ":0\r\n");
  CHECK(desk.ask("TAGINVALIDATE x y ALL") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE all") == ":1\r\n");
  CHECK(desk.ask("DBSIZE") == ":1\r\n");
}

TEST_CASE("tags: an empty word ends the tags, so that the last one may be spelled like an option") {
  Desk desk;
  for (const ByteView request :
       {"TAGINVALIDATE x all ''", "TAGINVALIDATE x ALL '' exact", "TAGINVALIDATE ALL all ''"}) {
    CAPTURE(request);
    desk.ask("SET k v TAGS 2 all ALL");
    CHECK(desk.ask(request) == ":1\r\n");
  }
  desk.ask("SET k v TAGS 2 all exact");
  desk.ask("SET l v TAGS 1 all");
  CHECK(desk.ask("TAGINVALIDATE all exact '' ALL") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE all ''") == ":1\r\n");
  CHECK(desk.ask("TAGINVALIDATE ''") == kBadTag);
  CHECK(desk.ask("TAGINVALIDATE '' all") == kBadTag);
  CHECK(desk.ask("TAGINVALIDATE x '' y") == kBadTag);
}

TEST_CASE("tags: TAGKEYS walks over every key once") {
  Desk desk;
  for (int i = 0; i < 250; ++i)
    desk.ask("SET k" + std::to_string(i) + " v TAGS 2 t:" + std::to_string(i % 7) + " t:x");
  CHECK(desk.ask("TAGKEYS t").starts_with("*2\r\n$1\r\n0\r\n*250\r\n"));
  CHECK(desk.ask("TAGKEYS t EXACT") == "*2\r\n$1\r\n0\r\n*0\r\n");
  CHECK(desk.ask("TAGKEYS t:3 EXACT COUNT 500").starts_with("*2\r\n$1\r\n0\r\n*36\r\n"));
  std::size_t found = 0;
  Bytes cursor = "0";
  do {
    const Bytes reply = desk.ask("TAGKEYS t:x CURSOR " + cursor + " COUNT 10");
    found += static_cast<std::size_t>(std::ranges::count(reply, 'k'));
    const std::size_t begin = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(begin, reply.find('\r', begin) - begin);
  } while (cursor != "0");
  CHECK(found == 250);
  CHECK(desk.ask("TAGKEYS t COUNT 0") == "-ERR syntax error\r\n");
  CHECK(desk.ask("TAGKEYS t CURSOR x") == "-ERR invalid cursor\r\n");
  CHECK(desk.ask("TAGKEYS t WHAT 1") == "-ERR syntax error\r\n");
  CHECK(desk.ask("TAGCOUNT t WHAT") == "-ERR syntax error\r\n");
  CHECK(desk.ask("TAGCOUNT t:3 EXACT exact") == ":36\r\n");
}

TEST_CASE("tags: a database has its own, and SWAPDB exchanges them") {
  Desk desk;
  desk.ask("SET k v TAGS 1 a");
  desk.db = 1;
  CHECK(desk.ask("TAGINVALIDATE a") == ":0\r\n");
  desk.ask("SWAPDB 0 1");
  CHECK(desk.ask("TAGINVALIDATE a") == ":1\r\n");
}

TEST_CASE("tags: requests about them are told from those that any Redis knows") {
  const auto is_about = [](std::vector<ByteView> argv) {
    return is_about_tags(*find_command(argv[0]), argv);
  };
  CHECK(is_about({"tagadd", "k", "a"}));
  CHECK(is_about({"set", "k", "v", "PX", "5", "tags", "0"}));
  CHECK_FALSE(is_about({"set", "k", "v"}));
  CHECK_FALSE(is_about({"set", "k", "v", "PX", "5"}));
  CHECK_FALSE(is_about({"get", "tags"}));
}

}  // namespace larder
