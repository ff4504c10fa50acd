#include <doctest/doctest.h>

#include "backend/postgres/fixture.h"

namespace larder::postgres {
namespace {

std::uint64_t hits(const TestLarder& larder) {
  return larder.keyspace.counters().hits;
}

TEST_CASE("postgres L1: what was read or written once is answered from memory") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  larder.await_coherence();
  larder.call({"SET", "written", "v"});
  CHECK(larder.call({"GET", "absent"}) == "$-1\r\n");
  const std::uint64_t before = hits(larder);
  CHECK(larder.client.send({"GET", "written"}) > 0);
  CHECK(larder.client.last_step == Step::done);
  larder.client.send({"GET", "absent"});
  CHECK(larder.client.last_step == Step::done);
  larder.client.send({"MGET", "written", "absent"});
  CHECK(larder.client.last_step == Step::done);
  larder.client.send({"STRLEN", "written"});
  CHECK(larder.client.last_step == Step::done);
  CHECK(hits(larder) == before + 5);
}

TEST_CASE("postgres L1: a write of another Larder is seen") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder one(options), two(options);
  one.await_coherence();
  two.await_coherence();
  for (int i = 0; i < 20; ++i) {
    const Bytes value = std::to_string(i);
    two.call({"GET", "k"});
    one.call({"SET", "k", value});
    const Bytes expected = "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
    two.run_until([&] { return two.call({"GET", "k"}) == expected; });
  }
  one.call({"INCR", "k"});
  two.run_until([&] { return two.call({"GET", "k"}) == "$2\r\n20\r\n"; });
  one.call({"DEL", "k"});
  two.run_until([&] { return two.call({"GET", "k"}) == "$-1\r\n"; });
  one.call({"SET", "k", "1"});
  two.run_until([&] { return two.call({"GET", "k"}) == "$1\r\n1\r\n"; });
  one.call({"FLUSHALL"});
  two.run_until([&] { return two.call({"GET", "k"}) == "$-1\r\n"; });
}

TEST_CASE("postgres L1: plain SQL is seen") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.await_coherence();
  BlockingSession sql(options, SessionUse::upkeep);
  sql.script("reset larder.origin");
  larder.call({"SET", "k", "v"});
  const auto becomes = [&](ByteView reply) {
    larder.run_until([&] { return larder.call({"GET", "k"}) == reply; });
  };
  sql.script("update kv set v = 'w' where k = 'k'");
  becomes("$1\r\nw\r\n");
  sql.script("delete from kv");
  becomes("$-1\r\n");
  sql.script(
      "insert into kv (db, k, v) select 0, 'k'::bytea, 'x'::bytea union all select 0, i::text::bytea, "
      "'many'::bytea from "
      "generate_series(1, 1000) i");
  becomes("$1\r\nx\r\n");
  sql.script("truncate kv");
  becomes("$-1\r\n");
  larder.call({"SET", "k", "v"});
  sql.script("update dbs set place = 1 - place where db < 2");
  becomes("$-1\r\n");
}

TEST_CASE("postgres L1: plain SQL between load and store is not overwritten") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options, 0);
  BlockingSession sql(options, SessionUse::upkeep);
  sql.script("reset larder.origin");
  larder.call({"SET", "n", "0"});
  for (int i = 0; i < 100; ++i) {
    larder.client.send({"INCR", "n"});
    sql.script("update kv set v = (convert_from(v, 'UTF8')::int + 1)::text::bytea where k = 'n'");
    larder.run_until([&] { return larder.client.pending() == 0; });
  }
  CHECK(larder.call({"GET", "n"}) == "$3\r\n200\r\n");
}

TEST_CASE("postgres L1: without the LISTEN connection it is not used") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.await_coherence();
  larder.call({"SET", "k", "v"});
  larder.client.send({"GET", "k"});
  REQUIRE(larder.client.last_step == Step::done);
  BlockingSession sql(options, SessionUse::upkeep);
  sql.script("select pg_terminate_backend(backend_pid) from peers");
  larder.run_until([&] { return larder.info("postgres_coherence") != "listening"; });
  larder.await_coherence();
  larder.client.send({"GET", "k"});
  CHECK(larder.client.last_step == Step::pending);
  larder.run_until([&] { return larder.client.pending() == 0; });
}

TEST_CASE("postgres: lost connections are errors at once and come back by themselves") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.call({"SET", "k", "v"});
  {
    BlockingSession sql(options, SessionUse::upkeep);
    sql.script(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and "
        "backend_type = 'client backend'");
  }
  bool saw_error = false;
  larder.run_until([&] {
    const Bytes reply = larder.call({"SET", "k", "w"});
    saw_error = saw_error || reply.starts_with("-ERR the database is unreachable");
    return saw_error && reply == "+OK\r\n";
  });
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$1\r\nw\r\n"; });
  larder.await_coherence();
  CHECK(larder.call({"GET", "k"}) == "$1\r\nw\r\n");
}

TEST_CASE("postgres: a test schema is gone when its process ends") {
  if (!has_server()) return;
  Options options = test_options();
  options.schema_per_process = true;
  std::string schema;
  {
    TestLarder larder(options);
    schema = larder.info("postgres_schema");
    CHECK(schema.starts_with("larder_test_"));
    larder.call({"SET", "k", "v"});
  }
  BlockingSession sql(options, SessionUse::upkeep);
  CHECK(sql.query("select 1 from pg_namespace where nspname = '" + schema + "'").rows() == 0);
}

TEST_CASE("postgres: expired rows are swept") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  for (int i = 0; i < 100; ++i) larder.client.send({"SET", std::to_string(i), "v", "PX", "10"});
  larder.run_until([&] { return larder.client.pending() == 0; });
  BlockingSession sql(options, SessionUse::upkeep);
  larder.run_until([&] { return sql.query("select count(*) from kv").number(0, 0) == 0; });
}

}  // namespace
}  // namespace larder::postgres
