#include "resp/reply_cursor.h"

#include <doctest/doctest.h>

using namespace larder;

TEST_CASE("reply cursor: values come parents first, attributes not at all") {
  ReplyCursor cursor("*3\r\n|1\r\n+a\r\n*1\r\n:1\r\n$2\r\nhi\r\n%1\r\n+k\r\n_\r\n:-5\r\n");
  CHECK(cursor.next().count == 3);
  CHECK(cursor.next().text == "hi");
  CHECK(cursor.next().count == 2);
  CHECK(cursor.next().text == "k");
  CHECK(cursor.next().is_null());
  CHECK(cursor.next().integer() == -5);
  CHECK(cursor.at_end());
}

TEST_CASE("reply cursor: skip passes over a value with all that is in it") {
  ReplyCursor cursor("*2\r\n*2\r\n:1\r\n~1\r\n$1\r\nx\r\n:2\r\n");
  cursor.skip_header();
  cursor.skip();
  CHECK(cursor.next().integer() == 2);
  CHECK(cursor.at_end());
}

TEST_CASE("reply cursor: errors and nulls are known as such") {
  CHECK(ReplyCursor("-ERR x\r\n").next().is_error());
  CHECK(ReplyCursor("!3\r\nE x\r\n").next().is_error());
  CHECK(ReplyCursor("$-1\r\n").next().is_null());
  CHECK(ReplyCursor("*-1\r\n").next().is_null());
  CHECK_FALSE(ReplyCursor("$0\r\n\r\n").next().is_null());
}

TEST_CASE("reply cursor: behind the last value there are only nulls") {
  ReplyCursor cursor("*0\r\n");
  cursor.skip_header();
  CHECK(cursor.next().is_null());
  CHECK(cursor.next().is_null());
}
