#include <doctest/doctest.h>

#include "command/desk.h"

// What a recorded answer cannot show: other types, limits, times, and what is Larder's own.
namespace larder {

TEST_CASE("data commands: a string command refuses another type and leaves it alone") {
  for (const ByteView line : {"GET k", "SET k v GET", "GETSET k v", "GETDEL k", "GETEX k", "APPEND k v",
                              "STRLEN k", "GETRANGE k 0 1", "SETRANGE k 0 v", "INCR k", "INCRBYFLOAT k 1"}) {
    Desk desk;
    desk.ask("SET k 1");
    desk.records.set_type({0, "k"}, Type::none);
    CAPTURE(line);
    CHECK(desk.ask(line).find("map: -WRONGTYPE Operation against a key holding") == 0);
    CHECK(desk.records.find({0, "k"})->value == "1");
  }
}

TEST_CASE("data commands: plain writes and MGET do not mind the type") {
  Desk desk;
  desk.ask("SET k 1");
  desk.records.set_type({0, "k"}, Type::none);
  CHECK(desk.ask("MGET k").find("map: *1\r\n$-1\r\n") == 0);
  CHECK(desk.ask("LCS k k").find("map: -ERR The specified keys must contain string values") == 0);
  CHECK(desk.ask("SET k v") == "+OK\r\n");
  CHECK(desk.ask("GET k") == "$1\r\nv\r\n");
}

TEST_CASE("data commands: what MOVE and COPY carry keeps its expiry to the millisecond") {
  Desk desk;
  desk.ask("SET k v PX 12345");
  desk.ask("COPY k c");
  desk.ask("RENAME c d");
  desk.now_ms += 345;
  CHECK(desk.ask("PTTL d") == ":12000\r\n");
  CHECK(desk.ask("TTL d") == ":12\r\n");
  desk.now_ms += 12'000;
  CHECK(desk.ask("EXISTS d k") == ":0\r\n");
}

TEST_CASE("data commands: strings stay below the limit") {
  const std::uint64_t before = command_limits.max_string_bytes;
  command_limits.max_string_bytes = 10;
  Desk desk;
  CHECK(desk.ask("APPEND k 123456") == ":6\r\n");
  CHECK(desk.ask("APPEND k 12345") == "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
  CHECK(desk.ask("APPEND k 1234") == ":10\r\n");
  CHECK(desk.ask("LCS k k") ==
        "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n");
  command_limits.max_string_bytes = before;
}

TEST_CASE("data commands: objects answer as under an LFU policy") {
  Desk desk;
  desk.ask("SET k v");
  CHECK(desk.ask("OBJECT FREQ k").starts_with(":"));
  CHECK(desk.ask("OBJECT IDLETIME k").starts_with("-ERR An LFU maxmemory policy is selected, idle time"));
  CHECK(desk.ask("MEMORY USAGE k").starts_with(":"));
  CHECK(desk.ask("MEMORY USAGE k SAMPLES 0").starts_with(":"));
  CHECK(desk.ask("MEMORY HELP").starts_with("*14\r\n+MEMORY <subcommand>"));
}

TEST_CASE("keyspace commands: a scan finds every key once, whatever its count") {
  Desk desk;
  for (int i = 0; i < 300; ++i) desk.ask("SET key:" + std::to_string(i) + " v");
  CHECK(desk.ask("DBSIZE") == ":300\r\n");
  CHECK(desk.ask("KEYS key:*").starts_with("*300\r\n"));
  CHECK(desk.ask("KEYS key:29?").starts_with("*10\r\n"));
  CHECK(desk.ask("SCAN 0 COUNT 1000").starts_with("*2\r\n$1\r\n0\r\n*300\r\n"));
}

TEST_CASE("errors: an unknown command quotes 128 bytes of its words, without line breaks") {
  Desk desk;
  const Bytes name(200, 'n'), argument(100, 'a');
  const std::vector<ByteView> argv = {name, argument, argument, argument};
  CHECK(desk.run(argv) == "-ERR unknown command '" + name.substr(0, 128) + "', with args beginning with: '" +
                              argument + "' '" + argument.substr(0, 25) + "' \r\n");
  const std::vector<ByteView> broken = {"a\r\nb", ByteView("c\0d", 3)};
  CHECK(desk.run(broken) == "-ERR unknown command 'a  b', with args beginning with: 'c' \r\n");
}

}  // namespace larder
