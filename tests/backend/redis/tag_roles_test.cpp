#include <array>

#include <doctest/doctest.h>

#include "backend/redis/scripts.h"
#include "backend/redis/tag_requests.h"

using namespace larder;
using namespace larder::redis;

TEST_CASE("tag scripts: each has the name that Redis will give it") {
  for (const LoadedScript& script : tag_scripts()) CHECK(script.sha == sha1_hex(script.body));
}

TEST_CASE("tag scripts: a call names keys and arguments apart") {
  Bytes out;
  const ByteView key = "k";
  TagRequests::append_call(TagScript::list, {&key, 1}, std::to_array<ByteView>({"a", ""}), out);
  CHECK(out == "*6\r\n$7\r\nEVALSHA\r\n$40\r\n" + loaded(TagScript::list).sha +
                   "\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
}

TEST_CASE("tag scripts: what stands for a command of Redis takes its script along") {
  Bytes out;
  TagRequests::append_call(TagScript::pick, {}, std::to_array<ByteView>({"t:"}), out);
  CHECK(out.starts_with("*4\r\n$4\r\nEVAL\r\n"));
  CHECK(out.find(loaded(TagScript::pick).body) != Bytes::npos);
}

TEST_CASE("bookkeeping: replies of KEYS and SCAN do not name it") {
  const auto shown = [](ByteView reply) { return without_names(reply, "t:").value_or("unchanged"); };
  CHECK(shown("*2\r\n$1\r\na\r\n$1\r\nb\r\n") == "unchanged");
  CHECK(shown("*2\r\n$3\r\nxt:\r\n$3\r\nt:r\r\n") == "*1\r\n$3\r\nxt:\r\n");
  CHECK(shown("*1\r\n$3\r\nt:r\r\n") == "*0\r\n");
  CHECK(shown("*2\r\n$1\r\n9\r\n*2\r\n$3\r\nt:r\r\n$1\r\na\r\n") == "*2\r\n$1\r\n9\r\n*1\r\n$1\r\na\r\n");
  CHECK(shown("-ERR t: is wrong\r\n") == "unchanged");
}
