#include "resp/as_resp2.h"

#include <string>

#include <doctest/doctest.h>

namespace larder {
namespace {

std::string converted(ByteView reply, Nesting nesting = Nesting::kept) {
  std::string out;
  append_as_resp2(reply, out, nesting);
  return out;
}

TEST_CASE("as RESP2: nulls become null bulks, wherever they are") {
  CHECK(converted("_\r\n") == "$-1\r\n");
  CHECK(converted("$3\r\n_\r\n\r\n") == "$3\r\n_\r\n\r\n");
  CHECK(converted("*3\r\n$1\r\na\r\n_\r\n:1\r\n") == "*3\r\n$1\r\na\r\n$-1\r\n:1\r\n");
  CHECK(converted("*2\r\n*1\r\n_\r\n_\r\n") == "*2\r\n*1\r\n$-1\r\n$-1\r\n");
}

TEST_CASE("as RESP2: what both protocols have stays as it is") {
  CHECK(converted("-WRONGTYPE no\r\n") == "-WRONGTYPE no\r\n");
  CHECK(converted("*0\r\n") == "*0\r\n");
  CHECK(converted("*2\r\n+OK\r\n$0\r\n\r\n") == "*2\r\n+OK\r\n$0\r\n\r\n");
}

TEST_CASE("as RESP2: maps and sets become flat arrays") {
  CHECK(converted("%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n") == "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n");
  CHECK(converted("%0\r\n") == "*0\r\n");
  CHECK(converted("~2\r\n$1\r\na\r\n$2\r\n~%\r\n") == "*2\r\n$1\r\na\r\n$2\r\n~%\r\n");
}

TEST_CASE("as RESP2: doubles, big numbers and verbatim strings become bulks, booleans integers") {
  CHECK(converted(",1.5\r\n") == "$3\r\n1.5\r\n");
  CHECK(converted(",-inf\r\n") == "$4\r\n-inf\r\n");
  CHECK(converted("(123\r\n") == "$3\r\n123\r\n");
  CHECK(converted("=7\r\ntxt:abc\r\n") == "$3\r\nabc\r\n");
  CHECK(converted("*2\r\n#t\r\n#f\r\n") == "*2\r\n:1\r\n:0\r\n");
}

TEST_CASE("as RESP2: pairs of a sorted set are flattened") {
  CHECK(converted("*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n", Nesting::flattened) ==
        "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\n2.5\r\n");
  CHECK(converted("*2\r\n$1\r\na\r\n$1\r\n*\r\n", Nesting::flattened) == "*2\r\n$1\r\na\r\n$1\r\n*\r\n");
  CHECK(converted("*0\r\n", Nesting::flattened) == "*0\r\n");
  CHECK(converted("-ERR no\r\n", Nesting::flattened) == "-ERR no\r\n");
}

}  // namespace
}  // namespace larder
