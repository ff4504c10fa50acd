#include "server/client_filter.h"

#include <doctest/doctest.h>

namespace larder {
namespace {

using Words = std::vector<ByteView>;

std::string list_error(const Words& words) {
  return parse_list_filter(words).error;
}

std::string kill_error(const Words& words) {
  return parse_kill_filter(words).error;
}

TEST_CASE("client filter: CLIENT LIST takes a type or any number of ids") {
  CHECK(list_error({}).empty());
  CHECK(parse_list_filter(Words{"ID", "1", "0", "7"}).filter.ids == std::vector<std::int64_t>{1, 0, 7});
  CHECK(parse_list_filter(Words{"type", "PubSub"}).filter.kind == ClientFilter::Kind::pubsub);
  CHECK(list_error({"ID"}) == "ERR syntax error");
  CHECK(list_error({"ID", "x"}) == "ERR Invalid client ID");
  CHECK(list_error({"TYPE", "x"}) == "ERR Unknown client type 'x'");
  CHECK(list_error({"TYPE"}) == "ERR syntax error");
  CHECK(list_error({"x"}) == "ERR syntax error");
}

TEST_CASE("client filter: CLIENT KILL takes pairs, and spares its sender unless told not to") {
  const ParsedFilter parsed = parse_kill_filter(
      Words{"ID", "3", "ADDR", "1.2.3.4:5", "laddr", "h:1", "USER", "default", "TYPE", "normal"});
  CHECK(parsed.error.empty());
  CHECK(parsed.filter.ids == std::vector<std::int64_t>{3});
  CHECK(parsed.filter.address == "1.2.3.4:5");
  CHECK(parsed.filter.local_address == "h:1");
  CHECK(parsed.filter.user == "default");
  CHECK(parsed.filter.kind == ClientFilter::Kind::normal);
  CHECK(parsed.filter.skips_me);
  CHECK_FALSE(parse_kill_filter(Words{"SKIPME", "No"}).filter.skips_me);
}

TEST_CASE("client filter: CLIENT KILL says what is wrong as Redis does") {
  CHECK(kill_error({"ID", "0"}) == "ERR client-id should be greater than 0");
  CHECK(kill_error({"ID", "x"}) == "ERR client-id should be greater than 0");
  CHECK(kill_error({"SKIPME", "maybe"}) == "ERR syntax error");
  CHECK(kill_error({"ID", "3", "ADDR"}) == "ERR syntax error");
  CHECK(kill_error({"x", "y"}) == "ERR syntax error");
}

}  // namespace
}  // namespace larder
