#include <algorithm>

#include <doctest/doctest.h>

#include "backend/postgres/fixture.h"

namespace larder::postgres {
namespace {

TEST_CASE("postgres: strings and keys answer as Redis does") {
  if (!has_server()) return;
  TestLarder larder(test_options(), 0);
  CHECK(larder.call({"GET", "k"}) == "$-1\r\n");
  CHECK(larder.call({"SET", "k", "v1"}) == "+OK\r\n");
  CHECK(larder.call({"GET", "k"}) == "$2\r\nv1\r\n");
  CHECK(larder.call({"SET", "k", "v2", "NX"}) == "$-1\r\n");
  CHECK(larder.call({"SET", "k", "v2", "XX", "GET"}) == "$2\r\nv1\r\n");
  CHECK(larder.call({"APPEND", "k", "+"}) == ":3\r\n");
  CHECK(larder.call({"MSET", "a", "1", "b", "2"}) == "+OK\r\n");
  CHECK(larder.call({"MGET", "a", "x", "b", "a"}) == "*4\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n$1\r\n1\r\n");
  CHECK(larder.call({"MSETNX", "n", "1", "b", "9"}) == ":0\r\n");
  CHECK(larder.call({"GET", "n"}) == "$-1\r\n");
  CHECK(larder.call({"INCRBY", "a", "41"}) == ":42\r\n");
  CHECK(larder.call({"INCR", "k"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(larder.call({"RENAME", "a", "c"}) == "+OK\r\n");
  CHECK(larder.call({"EXISTS", "a", "b", "c", "c"}) == ":3\r\n");
  CHECK(larder.call({"DEL", "b", "c", "x"}) == ":2\r\n");
  CHECK(larder.call({"DEL", "k", "k"}) == ":1\r\n");
  CHECK(larder.call({"DBSIZE"}) == ":0\r\n");
}

TEST_CASE("postgres: keys and values are binary") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  const Bytes key("\0\xff\r\n", 4), value("\x80\0", 2);
  CHECK(larder.call({"SET", key, value}) == "+OK\r\n");
  CHECK(larder.call({"GET", key}) == "$2\r\n" + value + "\r\n");
  CHECK(larder.call({"SET", "", ""}) == "+OK\r\n");
  CHECK(larder.call({"GET", ""}) == "$0\r\n\r\n");
  CHECK(larder.call({"APPEND", "", value}) == ":2\r\n");
}

TEST_CASE("postgres: an expired key is absent to every command") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  CHECK(larder.call({"SET", "k", "v", "PX", "30"}) == "+OK\r\n");
  CHECK(larder.call({"SET", "kept", "v", "EX", "100"}) == "+OK\r\n");
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
  CHECK(larder.call({"EXISTS", "k"}) == ":0\r\n");
  CHECK(larder.call({"INCR", "k"}) == ":1\r\n");
  CHECK(larder.call({"TTL", "k"}) == ":-1\r\n");
  CHECK(larder.call({"TTL", "kept"}) == ":100\r\n");
  CHECK(larder.call({"PERSIST", "kept"}) == ":1\r\n");
  CHECK(larder.call({"TTL", "kept"}) == ":-1\r\n");
}

TEST_CASE("postgres: pipelined commands of one caller on one key take effect in order") {
  if (!has_server()) return;
  for (const std::uint64_t l1_bytes : {0, 64 << 20}) {
    TestLarder larder(test_options(), l1_bytes);
    if (l1_bytes > 0) larder.await_coherence();
    struct Exchange {
      std::vector<ByteView> argv;
      ByteView reply;
    };
    const std::vector<Exchange> steps = {{{"GET", "k"}, "$-1\r\n"},
                                         {{"SET", "k", "1"}, "+OK\r\n"},
                                         {{"GET", "k"}, "$1\r\n1\r\n"},
                                         {{"INCR", "k"}, ":2\r\n"},
                                         {{"GET", "k"}, "$1\r\n2\r\n"},
                                         {{"DEL", "k"}, ":1\r\n"},
                                         {{"GET", "k"}, "$-1\r\n"},
                                         {{"DEL", "k"}, ":0\r\n"},
                                         {{"SET", "k", "5"}, "+OK\r\n"},
                                         {{"RENAME", "k", "l"}, "+OK\r\n"},
                                         {{"MGET", "k", "l"}, "*2\r\n$-1\r\n$1\r\n5\r\n"},
                                         {{"FLUSHDB"}, "+OK\r\n"},
                                         {{"GET", "l"}, "$-1\r\n"}};
    for (int round = 0; round < 20; ++round) {
      std::vector<std::size_t> numbers;
      for (const auto& step : steps) {
        std::size_t number = 0;
        larder.run_until([&] {
          number = larder.client.send(step.argv);
          return larder.client.last_step != Step::hold;
        });
        numbers.push_back(number);
      }
      larder.run_until([&] { return larder.client.pending() == 0; });
      for (std::size_t i = 0; i < steps.size(); ++i)
        CHECK(larder.client.replies.at(numbers[i]) == steps[i].reply);
    }
  }
}

TEST_CASE("postgres: 64 waiting INCRs of one key are two batches at most") {
  if (!has_server()) return;
  TestLarder larder(test_options(), 0);
  for (int i = 0; i < 64; ++i) larder.client.send({"INCR", "hits"});
  larder.run_until([&] { return larder.client.pending() == 0; });
  CHECK(larder.client.replies.at(63) == ":64\r\n");
  CHECK(std::stoi(larder.info("postgres_batches")) <= 2);
}

TEST_CASE("postgres: two Larders that count on the same keys lose nothing") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder one(options, 0), two(options, 0);
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    for (const ByteView key : {"a", "b", "c"}) {
      one.client.send({"INCR", key});
      two.client.send({"INCR", key});
      one.client.send({"APPEND", "text", "x"});
      two.client.send({"APPEND", "text", "y"});
    }
    // Both loops at once, so that their transactions meet.
    one.run_until([&] {
      two.io.run_one_for(std::chrono::milliseconds(1));
      return one.client.pending() == 0 && two.client.pending() == 0;
    });
  }
  for (TestLarder* larder : {&one, &two})
    for (const auto& answered : larder->client.replies)
      CHECK_MESSAGE(answered.second.starts_with(":"), answered.second);
  CHECK(one.call({"GET", "a"}) == "$3\r\n100\r\n");
  CHECK(two.call({"GET", "c"}) == "$3\r\n100\r\n");
  CHECK(two.call({"STRLEN", "text"}) == ":300\r\n");
}

TEST_CASE("postgres: two Larders that create the same keys lose nothing") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder one(options, 0), two(options, 0);
  constexpr int kRounds = 300;
  for (int round = 0; round < kRounds; ++round) {
    const std::string number = "n" + std::to_string(round), text = "t" + std::to_string(round);
    for (TestLarder* larder : {&one, &two}) {
      larder->client.send({"INCR", number});
      larder->client.send({"APPEND", text, "x"});
    }
    one.run_until([&] {
      two.io.run_one_for(std::chrono::milliseconds(1));
      return one.client.pending() == 0 && two.client.pending() == 0;
    });
    CHECK(one.call({"GET", number}) == "$1\r\n2\r\n");
    CHECK(two.call({"GET", text}) == "$2\r\nxx\r\n");
  }
}

TEST_CASE("postgres: a command that PostgreSQL refuses harms nobody else in its batch") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options, 0);
  BlockingSession sql(options, SessionUse::upkeep);
  sql.script("alter table kv add constraint small check (octet_length(v) < 10)");
  for (int i = 0; i < 20; ++i)
    larder.client.send({"SET", std::to_string(i), i == 7 ? "far too long for this" : "ok"});
  larder.run_until([&] { return larder.client.pending() == 0; });
  for (std::size_t i = 0; i < 20; ++i)
    CHECK(larder.client.replies.at(i).starts_with(i == 7 ? "-ERR the database refused: " : "+OK\r\n"));
}

TEST_CASE("postgres: large values, many of them in one batch") {
  if (!has_server()) return;
  TestLarder larder(test_options(), 0);
  const Bytes large(3 << 20, 'x');
  for (const ByteView key : {"a", "b", "c", "d"}) larder.client.send({"SET", key, large});
  for (const ByteView key : {"a", "b", "c", "d", "e"}) larder.client.send({"APPEND", key, "y"});
  larder.run_until([&] { return larder.client.pending() == 0; });
  CHECK(larder.client.replies.at(7) == ":3145729\r\n");
  CHECK(larder.client.replies.at(8) == ":1\r\n");
  CHECK(larder.call({"MGET", "a", "d", "e"}).size() > 2 * large.size());
  for (const ByteView key : {"a", "b", "c", "d", "e"}) larder.client.send({"STRLEN", key});
  larder.run_until([&] { return larder.client.pending() == 0; });
  CHECK(larder.client.replies.at(13) == ":3145729\r\n");
  CHECK(larder.client.replies.at(14) == ":1\r\n");
}

TEST_CASE("postgres: SCAN visits every key, KEYS filters, SWAPDB exchanges") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  for (int i = 0; i < 100; ++i) larder.call({"SET", "key:" + std::to_string(i), "v"});
  std::size_t seen = 0;
  Bytes cursor = "0";
  do {
    const Bytes reply = larder.call({"SCAN", cursor, "COUNT", "7"});
    seen += static_cast<std::size_t>(std::count(reply.begin(), reply.end(), 'y'));
    const std::size_t start = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(start, reply.find("\r\n", start) - start);
  } while (cursor != "0");
  CHECK(seen == 100);
  CHECK(larder.call({"KEYS", "key:4?"}).starts_with("*10\r\n"));
  CHECK(larder.call({"KEYS", "*"}).starts_with("*100\r\n"));
  CHECK(larder.call({"RANDOMKEY"}).find("key:") != Bytes::npos);
  CHECK(larder.call({"SWAPDB", "0", "1"}) == "+OK\r\n");
  CHECK(larder.call({"DBSIZE"}) == ":0\r\n");
  CHECK(larder.call({"GET", "key:1"}) == "$-1\r\n");
  larder.client.select(1);
  CHECK(larder.call({"DBSIZE"}) == ":100\r\n");
  CHECK(larder.call({"MOVE", "key:1", "0"}) == ":1\r\n");
  CHECK(larder.call({"FLUSHDB"}) == "+OK\r\n");
  larder.client.select(0);
  CHECK(larder.call({"DBSIZE"}) == ":1\r\n");
  CHECK(larder.call({"FLUSHALL"}) == "+OK\r\n");
  CHECK(larder.call({"RANDOMKEY"}) == "$-1\r\n");
}

}  // namespace
}  // namespace larder::postgres
