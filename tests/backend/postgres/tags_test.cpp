#include <doctest/doctest.h>

#include "backend/postgres/fixture.h"
#include "backend/postgres/tag_columns.h"

// Tags in PostgreSQL, seen through commands and through plain SQL.

namespace larder::postgres {
namespace {

/// A session of somebody else: what it does fires the triggers.
class Application {
 public:
  explicit Application(const Options& options) : sql(options, SessionUse::wide), schema_(options.schema) {
    sql.script("set larder.origin = ''; set search_path = public");
  }

  std::int64_t number(std::string query) {
    for (std::size_t at = query.find('@'); at != std::string::npos; at = query.find('@'))
      query.replace(at, 1, schema_ + ".");
    return sql.query(query).number(0, 0);
  }

  BlockingSession sql;

 private:
  const std::string schema_;
};

}  // namespace

TEST_CASE("postgres tags: SET replaces them, plain writes keep them, whichever way the write takes") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  CHECK(larder.call({"SET", "k", "v", "TAGS", "2", "posts", "user:1"}) == "+OK\r\n");
  const ByteView both = "*2\r\n$5\r\nposts\r\n$6\r\nuser:1\r\n";
  CHECK(larder.call({"TAGLIST", "k"}) == both);
  const std::vector<std::vector<ByteView>> writes = {
      {"SET", "k", "w"}, {"APPEND", "k", "x"}, {"EXPIRE", "k", "9"},      {"MSET", "k", "5", "l", "6"},
      {"INCR", "k"},     {"PERSIST", "k"},     {"GETEX", "k", "EX", "9"}, {"GETSET", "k", "v"}};
  for (const std::vector<ByteView>& write : writes) {
    CAPTURE(write[0]);
    CHECK(larder.call(write)[0] != '-');
    CHECK(larder.call({"TAGLIST", "k"}) == both);
  }
  CHECK(larder.call({"SET", "k", "v", "NX", "TAGS", "1", "x"}) == "$-1\r\n");
  CHECK(larder.call({"TAGLIST", "k"}) == both);
  CHECK(larder.call({"SET", "k", "v", "KEEPTTL", "TAGS", "1", "x"}) == "+OK\r\n");
  CHECK(larder.call({"TAGLIST", "k"}) == "*1\r\n$1\r\nx\r\n");
  CHECK(larder.call({"SET", "k", "v", "TAGS", "0"}) == "+OK\r\n");
  CHECK(larder.call({"TAGLIST", "k"}) == "*0\r\n");
}

TEST_CASE("postgres tags: pipelined commands on one key see each other's tags") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  larder.call({"SET", "k", "v", "TAGS", "1", "old"});
  const std::vector<std::pair<std::vector<ByteView>, ByteView>> steps = {
      {{"SET", "k", "v"}, "+OK\r\n"},
      {{"TAGADD", "k", "a", "old"}, ":1\r\n"},
      {{"TAGLIST", "k"}, "*2\r\n$1\r\na\r\n$3\r\nold\r\n"},
      {{"DEL", "k"}, ":1\r\n"},
      {{"SET", "k", "v"}, "+OK\r\n"},
      {{"TAGLIST", "k"}, "*0\r\n"},
      {{"SET", "k", "v", "TAGS", "1", "b"}, "+OK\r\n"},
      {{"RENAME", "k", "l"}, "+OK\r\n"},
      {{"COPY", "l", "m"}, ":1\r\n"},
      {{"TAGREM", "l", "b", "x"}, ":1\r\n"},
      {{"TAGINVALIDATE", "b"}, ":1\r\n"},
      {{"EXISTS", "k", "l", "m"}, ":1\r\n"},
      {{"DEL", "l"}, ":1\r\n"}};
  for (int round = 0; round < 10; ++round) {
    std::vector<std::size_t> numbers;
    for (const auto& [argv, reply] : steps) {
      numbers.push_back(larder.client.send(argv));
      while (larder.client.last_step == Step::hold) {
        larder.run_until([&] { return larder.client.pending() == 0; });
        numbers.back() = larder.client.send(argv);
      }
    }
    larder.run_until([&] { return larder.client.pending() == 0; });
    for (std::size_t i = 0; i < steps.size(); ++i) {
      CAPTURE(steps[i].first[0]);
      CHECK(larder.client.replies[numbers[i]] == steps[i].second);
    }
    larder.call({"SET", "k", "v", "TAGS", "1", "old"});
  }
}

TEST_CASE("postgres tags: TAGINVALIDATE, TAGCOUNT and TAGKEYS go by segment, EXACT, any or ALL") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  larder.call({"SET", "a", "v", "TAGS", "1", "user:1"});
  larder.call({"SET", "b", "v", "TAGS", "2", "user:1:x", "posts"});
  larder.call({"SET", "c", "v", "TAGS", "1", "user:10"});
  larder.call({"SET", "d", "v", "TAGS", "1", "user"});
  larder.call({"SET", "e", "v"});
  CHECK(larder.call({"TAGCOUNT", "user"}) == ":4\r\n");
  CHECK(larder.call({"TAGCOUNT", "user:1"}) == ":2\r\n");
  CHECK(larder.call({"TAGCOUNT", "user:1", "EXACT"}) == ":1\r\n");
  CHECK(larder.call({"TAGKEYS", "user:1", "EXACT"}) == "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "user:1", "posts", "EXACT", "ALL"}) == ":0\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "user:1", "posts", "ALL"}) == ":1\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "user:10", "user:1"}) == ":2\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "user", "EXACT"}) == ":1\r\n");
  CHECK(larder.call({"DBSIZE"}) == ":1\r\n");
  larder.client.select(1);
  larder.call({"SET", "a", "v", "TAGS", "1", "t"});
  larder.client.select(0);
  CHECK(larder.call({"TAGINVALIDATE", "t"}) == ":0\r\n");
  CHECK(larder.call({"SWAPDB", "0", "1"}) == "+OK\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "t"}) == ":1\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "a::b"}).starts_with("-ERR a tag has 1 to 8 segments"));
}

TEST_CASE("postgres tags: a walk by TAGKEYS meets every key once") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  for (int i = 0; i < 100; ++i) larder.call({"SET", "k" + std::to_string(i), "v", "TAGS", "1", "t:x"});
  std::size_t found = 0;
  Bytes cursor = "0";
  do {
    const Bytes reply = larder.call({"TAGKEYS", "t", "CURSOR", cursor, "COUNT", "7"});
    found += static_cast<std::size_t>(std::ranges::count(reply, 'k'));
    const std::size_t begin = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(begin, reply.find('\r', begin) - begin);
  } while (cursor != "0");
  CHECK(found == 100);
}

TEST_CASE("postgres tags: what comes after an expired key has none of its tags") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  for (const std::vector<ByteView>& write : std::vector<std::vector<ByteView>>{
           {"SET", "k", "new"}, {"APPEND", "k", "new"}, {"SET", "k", "new", "NX"}}) {
    larder.call({"SET", "k", "v", "PX", "20", "TAGS", "1", "a"});
    larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
    CHECK(larder.call({"TAGLIST", "k"}) == "*0\r\n");
    CHECK(larder.call({"TAGCOUNT", "a"}) == ":0\r\n");
    larder.call(write);
    CHECK(larder.call({"GET", "k"}) == "$3\r\nnew\r\n");
    CHECK(larder.call({"TAGLIST", "k"}) == "*0\r\n");
    CHECK(larder.call({"TAGINVALIDATE", "a"}) == ":0\r\n");
    larder.call({"DEL", "k"});
  }
}

TEST_CASE("postgres tags: an application invalidates in its own transaction, and the L1 hears of it") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.await_coherence();
  larder.call({"SET", "k", "v", "TAGS", "1", "user:1:x"});
  larder.call({"GET", "k"});
  Application application(options);
  CHECK(application.number(
            "select count(*) from @keys_by_tag where tag = 'user:1:x' and k = 'k' and db = 0") == 1);
  application.sql.script("begin");
  CHECK(application.number("select @invalidate_tag('user:1')") == 1);
  application.sql.script("rollback");
  CHECK(larder.call({"GET", "k"}) == "$1\r\nv\r\n");
  application.sql.script("begin");
  CHECK(application.number("select @invalidate_tag('user:1')") == 1);
  CHECK(larder.call({"GET", "k"}) == "$1\r\nv\r\n");
  application.sql.script("commit");
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
  CHECK(application.number("select count(*) from @keys_by_tag") == 0);
  CHECK_THROWS_AS(application.number("select @invalidate_tag('a::b')"), SqlError);
}

TEST_CASE(
    "postgres tags: what is written between an application's invalidation and its COMMIT is gone with it") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.await_coherence();
  Application application(options);
  application.sql.script("begin");
  CHECK(application.number("select @invalidate_tag('a')") == 0);
  application.sql.script("savepoint s");
  CHECK(application.number("select @invalidate_tag('undone')") == 0);
  application.sql.script("rollback to s");
  CHECK(application.number("select @invalidate_tag('b:c')") == 0);
  CHECK(application.number("select @invalidate_tag('a')") == 0);
  CHECK(application.number("select @invalidate_tag('a', 3)") == 0);
  larder.call({"SET", "1", "v", "TAGS", "1", "a:x"});
  larder.call({"SET", "2", "v", "TAGS", "1", "b:c"});
  larder.call({"SET", "undone", "v", "TAGS", "1", "undone"});
  larder.client.select(3);
  larder.call({"SET", "3", "v", "TAGS", "1", "a"});
  larder.call({"SET", "b", "v", "TAGS", "1", "b:c"});
  CHECK(larder.call({"GET", "3"}) == "$1\r\nv\r\n");
  application.sql.script("commit");
  larder.run_until([&] { return larder.call({"GET", "3"}) == "$-1\r\n"; });
  CHECK(larder.call({"EXISTS", "b"}) == ":1\r\n");
  larder.client.select(0);
  larder.run_until([&] { return larder.call({"EXISTS", "1", "2", "undone"}) == ":1\r\n"; });
  CHECK(application.number("select count(*) from @invalidated") == 0);
}

TEST_CASE(
    "postgres tags: an application's own role needs the rights that are its business, and has no others") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options);
  larder.await_coherence();
  larder.call({"SET", "k", "v", "TAGS", "1", "a"});
  larder.call({"GET", "k"});
  Application application(options);
  const std::string role = "app_" + options.schema;
  application.sql.script("create role " + role + "; grant usage on schema " + options.schema + " to " + role +
                         "; grant create on schema public to " + role + "; set role " + role);
  CHECK_THROWS_AS(application.number("select @invalidate_tag('a')"), SqlError);
  CHECK_THROWS_AS(application.number("select count(*) from @drop_tagged(0::int2, '{a}', false, false, null)"),
                  SqlError);
  application.sql.script("create table public.own_" + role + " (db text, k text)");
  CHECK_THROWS_AS(
      application.sql.script("create trigger own after insert on public.own_" + role +
                             " referencing new table as changed for each statement execute function " +
                             options.schema + ".tell_changes()"),
      SqlError);
  CHECK(larder.call({"EXISTS", "k"}) == ":1\r\n");

  application.sql.script("reset role; grant select, update on " + options.schema + ".kv to " + role +
                         "; grant execute on function " + options.schema + ".invalidate_tag to " + role +
                         "; set role " + role);
  application.sql.script("update " + options.schema + ".kv set v = 'w' where k = 'k'");
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$1\r\nw\r\n"; });
  CHECK(application.number("select @invalidate_tag('a')") == 1);
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
  application.sql.script("reset role; drop owned by " + role + "; drop role " + role);
}

TEST_CASE("postgres tags: a tag that is null is none") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options, 0);
  larder.call({"SET", "k", "v"});
  Application application(options);
  application.sql.script("update " + options.schema + ".kv set tags = array[null]::bytea[]");
  CHECK(larder.call({"TAGLIST", "k"}) == "*0\r\n");
  application.sql.script("update " + options.schema + ".kv set tags = array[null, 'a:b']::bytea[]");
  CHECK(larder.call({"TAGLIST", "k"}) == "*1\r\n$3\r\na:b\r\n");
  CHECK(application.number("select count(*) from @keys_by_tag") == 1);
  CHECK(larder.call({"TAGINVALIDATE", "a"}) == ":1\r\n");
}

TEST_CASE("postgres tags: rows that plain SQL deletes or tags itself leave nothing wrong behind") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options, 0);
  larder.call({"SET", "k", "v", "TAGS", "1", "a"});
  Application application(options);
  application.sql.script("delete from " + options.schema + ".kv");
  larder.call({"SET", "k", "v"});
  CHECK(larder.call({"TAGLIST", "k"}) == "*0\r\n");
  application.sql.script("update " + options.schema + ".kv set tags = '{b:1,a,b:1}'");
  CHECK(larder.call({"TAGLIST", "k"}) == "*2\r\n$1\r\na\r\n$3\r\nb:1\r\n");
  CHECK(larder.call({"TAGINVALIDATE", "b"}) == ":1\r\n");
}

TEST_CASE("postgres tags: another Larder's L1 hears of an invalidation, of few keys and of many") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder one(options), other(options);
  one.await_coherence();
  other.await_coherence();
  for (const int keys : {1, 300, 3000}) {
    for (int i = 0; i < keys; ++i) one.client.send({"SET", "k" + std::to_string(i), "v", "TAGS", "1", "t"});
    one.run_until([&] { return one.client.pending() == 0; });
    const Bytes last = "k" + std::to_string(keys - 1);
    CHECK(other.call({"GET", last}) == "$1\r\nv\r\n");
    CHECK(one.call({"TAGINVALIDATE", "t"}) == ":" + std::to_string(keys) + "\r\n");
    CHECK(one.call({"GET", last}) == "$-1\r\n");
    other.run_until([&] { return other.call({"GET", last}) == "$-1\r\n"; });
  }
}

TEST_CASE("postgres tags: no key escapes an invalidation by being renamed while it runs") {
  if (!has_server()) return;
  const Options options = test_options();
  TestLarder larder(options, 0);
  larder.call({"SET", "a", "v", "TAGS", "1", "t"});
  // The renaming transaction is open when the invalidation looks for keys.
  BlockingSession renaming(options, SessionUse::lane);
  renaming.script(
      "begin; select store(0::int2, array['a', 'b']::bytea[], array[4, 3]::int2[],"
      " array[(select xmin from kv where k = 'a'), '0'::xid], array[-1, -1]::int8[], array['', "
      "'v']::bytea[], 0,"
      " array['', '{t}'], true)");
  const std::size_t number = larder.client.send({"TAGINVALIDATE", "t"});
  for (int i = 0; i < 20; ++i) larder.io.run_one_for(std::chrono::milliseconds(5));
  CHECK_FALSE(larder.client.replies.contains(number));
  renaming.script("commit");
  larder.run_until([&] { return larder.client.pending() == 0; });
  CHECK(larder.client.replies[number] == ":1\r\n");
  CHECK(larder.call({"EXISTS", "a", "b"}) == ":0\r\n");
}

TEST_CASE(
    "postgres tags: an invalidation that cannot be done is an error, and is repeated until it is done") {
  if (!has_server()) return;
  Options options = test_options();
  options.command_timeout = std::chrono::milliseconds(400);
  TestLarder larder(options);
  larder.await_coherence();
  larder.call({"SET", "k", "v", "TAGS", "1", "t"});
  BlockingSession blocking(test_options(), SessionUse::upkeep);
  blocking.script("set search_path = " + options.schema +
                  "; begin; select 1 from kv where k = 'k' for update");
  CHECK(larder.call({"TAGINVALIDATE", "t"}).starts_with("-ERR the database refused"));
  blocking.script("commit");
  larder.run_until([&] { return larder.info("tags_pending_invalidations") == "0"; });
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
}

TEST_CASE("postgres tags: ASYNC answers at once and is done behind") {
  if (!has_server()) return;
  TestLarder larder(test_options());
  larder.call({"SET", "k", "v", "TAGS", "1", "t"});
  CHECK(larder.call({"TAGINVALIDATE", "t", "ASYNC"}) == ":0\r\n");
  larder.run_until([&] { return larder.call({"GET", "k"}) == "$-1\r\n"; });
}

TEST_CASE("postgres tags: what ASYNC has left to do outlives its Larder, and follows SWAPDB") {
  if (!has_server()) return;
  Options options = test_options();
  options.command_timeout = std::chrono::milliseconds(400);
  BlockingSession blocking(test_options(), SessionUse::upkeep);
  {
    TestLarder larder(options, 0);
    larder.call({"SET", "k", "v", "TAGS", "2", "t", "u"});
    larder.call({"SET", "l", "v", "TAGS", "1", "t"});
    blocking.script("set search_path = " + options.schema);
    blocking.script("begin; select 1 from kv where k = 'k' for update");
    CHECK(larder.call({"TAGINVALIDATE", "t", "u", "ALL", "ASYNC"}) == ":0\r\n");
  }
  blocking.script("rollback; select swap(0::int2, 1::int2)");
  TestLarder another(options, 0);
  another.client.select(1);
  another.run_until([&] { return another.call({"EXISTS", "k", "l"}) == ":1\r\n"; });
  CHECK(another.call({"EXISTS", "l"}) == ":1\r\n");
  another.run_until([&] { return blocking.query("select count(*) from sweeps").number(0, 0) == 0; });
}

TEST_CASE("postgres tags: array literals and arrays go there and back") {
  const std::vector<ByteView> words = {"a", "user:1", ByteView("\0\\\"", 3)};
  const TagSet tags = *TagSet::parse(words);
  CHECK(array_literal(tags) == "{\"\\\\x005c22\",\"\\\\x61\",\"\\\\x757365723a31\"}");
  CHECK(tags_from_array({}).empty());
  CHECK(tags_from_array(Bytes(19, '\1')).empty());
  CHECK(tags_from_array(Bytes(64, '\1')).empty());
}

}  // namespace larder::postgres
