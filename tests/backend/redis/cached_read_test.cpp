#include "backend/redis/cached_read.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "backend/redis/fake_request.h"

using namespace larder;
using namespace larder::redis;

namespace {

std::string question(std::vector<ByteView> words, Protocol protocol = Protocol::resp2) {
  const CachedRead* read = find_cached_read(words[0]);
  REQUIRE(read != nullptr);
  Bytes out;
  append_question(*read, Asked(std::move(words), protocol).request, out);
  return out;
}

}  // namespace

TEST_CASE("cached reads: random and waiting commands are not among them") {
  CHECK(find_cached_read("hgetall") != nullptr);
  CHECK(find_cached_read("zrange")->nesting == Nesting::flattened);
  for (const ByteView name :
       {"hrandfield", "srandmember", "hscan", "ttl", "object", "set", "get", "mget", ""})
    CHECK(find_cached_read(name) == nullptr);
}

TEST_CASE("cached reads: the key is no part of the question, every other word and the protocol is") {
  CHECK(question({"hget", "k", "f"}) == question({"hget", "other", "f"}));
  CHECK(question({"hget", "k", "f"}) != question({"hget", "k", "g"}));
  CHECK(question({"hget", "k", "f"}) != question({"hexists", "k", "f"}));
  CHECK(question({"hmget", "k", "ab", "c"}) != question({"hmget", "k", "a", "bc"}));
  CHECK(question({"hget", "k", "f"}) != question({"hget", "k", "f"}, Protocol::resp3));
}
