#include "backend/redis/tag_batch.h"

#include <doctest/doctest.h>

#include "backend/redis/fake_request.h"
#include "backend/redis/tag_scripts.h"

using namespace larder;
using namespace larder::redis;

namespace {

const TagGroup kOfBatch = TagGroup::of_database("p:");

bool take(TagBatch& batch, std::vector<ByteView> words) {
  const Asked asked(std::move(words));
  return batch.take(asked.request, kOfBatch);
}

}  // namespace

TEST_CASE("tag batch: the call says pairs and records") {
  TagBatch batch;
  CHECK(take(batch, {"SET", "k", "v", "TAGS", "3", "b", "a", "b"}));
  CHECK(take(batch, {"SET", "l", "w", "TAGS", "1", "b"}));
  CHECK(batch.size() == 2);
  Bytes out;
  batch.append_to(out);
  CHECK(batch.empty());
  CHECK(out == "*11\r\n$7\r\nEVALSHA\r\n$40\r\n" + loaded(TagScript::set_many).sha +
                   "\r\n$1\r\n0\r\n$3\r\np:r\r\n$1\r\n2\r\n"
                   "$1\r\nk\r\n$1\r\nv\r\n$1\r\nl\r\n$1\r\nw\r\n"
                   "$5\r\n\x92\xa1"
                   "a\xa1"
                   "b\r\n$3\r\n\x91\xa1"
                   "b\r\n");
}

TEST_CASE("tag batch: an expiry comes behind the pairs, of every key") {
  TagBatch batch;
  CHECK(take(batch, {"SET", "k", "v", "TAGS", "1", "a"}));
  CHECK(take(batch, {"SET", "l", "w", "px", "20", "TAGS", "1", "a"}));
  Bytes out;
  batch.append_to(out);
  CHECK(out.ends_with("$0\r\n\r\n$0\r\n\r\n$7\r\nPEXPIRE\r\n$2\r\n20\r\n"));
  CHECK(take(batch, {"SET", "k", "v", "TAGS", "1", "a"}));
  out.clear();
  batch.append_to(out);
  CHECK(
      out.ends_with("$1\r\nk\r\n$1\r\nv\r\n$3\r\n\x91\xa1"
                    "a\r\n"));
}

TEST_CASE("tag batch: what may fail by itself or answer something else goes alone") {
  TagBatch batch;
  for (const std::vector<ByteView>& options : std::vector<std::vector<ByteView>>{
           {"NX"}, {"XX"}, {"GET"}, {"KEEPTTL"}, {"EX", "0"}, {"PX", "x"}, {"EX", "-1"}}) {
    std::vector<ByteView> words = {"SET", "k", "v", "TAGS", "1", "a"};
    words.insert(words.end(), options.begin(), options.end());
    CHECK_FALSE(take(batch, words));
  }
  CHECK_FALSE(take(batch, {"SET", "k", "v", "TAGS", "0"}));
  CHECK_FALSE(take(batch, {"SET", "k", Bytes(20'000, 'x'), "TAGS", "1", "a"}));
  CHECK(batch.empty());
}

TEST_CASE("tag batch: a key comes once, and it has an end") {
  TagBatch batch;
  CHECK(take(batch, {"SET", "k", "v", "TAGS", "1", "a"}));
  CHECK_FALSE(take(batch, {"SET", "k", "v", "TAGS", "1", "b"}));
  int taken = 1;
  while (take(batch, {"SET", std::to_string(taken), "v", "TAGS", "1", "a"})) ++taken;
  CHECK(taken == 64);
}
