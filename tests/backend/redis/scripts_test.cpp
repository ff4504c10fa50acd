#include "backend/redis/scripts.h"

#include <array>
#include <vector>

#include <doctest/doctest.h>

using namespace larder;
using redis::Scripts;
using redis::ScriptUse;

TEST_CASE("scripts: which requests have to do with them") {
  using enum ScriptUse;
  struct Case {
    std::vector<ByteView> argv;
    ScriptUse use;
  };
  const std::vector<Case> cases{
      {{"EVAL", "return 1", "0"}, eval},
      {{"eval_ro", "return 1", "0"}, eval},
      {{"EvalSha", "x", "0"}, by_sha},
      {{"EVALSHA_RO", "x", "0"}, by_sha},
      {{"script", "LOAD", "return 1"}, load},
      {{"SCRIPT", "flush"}, flush},
      {{"SCRIPT", "FLUSH", "ASYNC"}, flush},
      {{"SCRIPT", "EXISTS", "x"}, none},
      {{"SCRIPT", "LOAD"}, none},
      {{"SCRIPT"}, none},
      {{"EVAL"}, none},
      {{"EVAL", "return 1", "2", "a", "b"}, eval},
      {{"EVAL", "return 1", "2", "a"}, none},
      {{"EVAL", "return 1", "-1"}, none},
      {{"EVAL", "return 1", "many"}, none},
      {{"EVALUATE", "x", "0"}, none},
      {{"GET", "eval"}, none},
      {{"", "x"}, none},
  };
  for (const Case& c : cases) {
    CAPTURE(c.argv[0]);
    CHECK(redis::script_use(c.argv) == c.use);
  }
}

TEST_CASE("scripts: a name is the SHA1 of the text") {
  CHECK(redis::sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(redis::sha1_hex("return 1") == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

TEST_CASE("scripts: what was remembered is found by its SHA1 in any letters until it is forgotten") {
  Scripts scripts;
  CHECK_FALSE(scripts.knows("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"));
  scripts.remember("return 1");
  scripts.remember("return 1");
  CHECK(scripts.knows("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"));
  CHECK(scripts.find("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB") == "return 1");
  CHECK_FALSE(scripts.find("e0e1").has_value());
  scripts.forget_all();
  CHECK_FALSE(scripts.find("e0e1f9fabfc9d4800c877a703b823ac0578ff8db").has_value());
}

TEST_CASE("scripts: those used longest ago make room, and no single one takes it all") {
  Scripts scripts(10'000);
  std::array<Bytes, 12> bodies;
  for (std::size_t i = 0; i < bodies.size(); ++i) bodies[i] = Bytes(800, static_cast<char>('a' + i));
  for (const Bytes& body : bodies) {
    scripts.remember(body);
    CHECK(scripts.knows(redis::sha1_hex(bodies[0])));  // is used again and again
  }
  CHECK_FALSE(scripts.knows(redis::sha1_hex(bodies[1])));
  CHECK_FALSE(scripts.knows(redis::sha1_hex(bodies[2])));
  CHECK(scripts.find(redis::sha1_hex(bodies[11])) == bodies[11]);
  scripts.remember(Bytes(1200, 'x'));
  CHECK_FALSE(scripts.knows(redis::sha1_hex(Bytes(1200, 'x'))));
}
