#include "backend/redis/handshake.h"

#include <doctest/doctest.h>

#include "backend/redis/swap_watch.h"

using namespace larder;
using redis::Handshake;
using Outcome = Handshake::Outcome;

namespace {

config::RedisAddress address_of(std::string user, std::string password) {
  config::RedisAddress address;
  address.user = std::move(user);
  address.password = std::move(password);
  return address;
}

const config::RedisAddress kOpen = address_of("", "");
const config::RedisAddress kUser = address_of("app", "p w");

Handshake full() {
  return {kUser, {.protocol = Protocol::resp3, .db = 2, .tracking = true, .commands = true}};
}

}  // namespace

TEST_CASE("redis handshake: nothing is asked that is not needed") {
  const Handshake handshake(kOpen, {});
  CHECK(handshake.request() == "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nlarder\r\n");
}

TEST_CASE("redis handshake: a stranger only knocks") {
  for (const ByteView reply : {"-NOAUTH Authentication required.\r\n", "+PONG\r\n"}) {
    Handshake handshake(kUser, {.stranger = true});
    CHECK(handshake.request() == "*1\r\n$4\r\nPING\r\n");
    CHECK(handshake.take(reply) == Outcome::done);
    CHECK_FALSE(handshake.login_refused());
  }
}

TEST_CASE("redis handshake: who is in a hurry logs in and knocks, at a busy server too") {
  Handshake handshake(kUser, {.db = 2, .hurries = true});
  CHECK(handshake.request() == "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$3\r\np w\r\n*1\r\n$4\r\nPING\r\n");
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take("-BUSY Redis is busy running a script.\r\n") == Outcome::done);
}

TEST_CASE("redis handshake: a refused login is told from other refusals") {
  Handshake user(kUser, {});
  CHECK(user.take("-WRONGPASS invalid username-password pair or user is disabled.\r\n") == Outcome::refused);
  CHECK(user.login_refused());
  Handshake db(kOpen, {.db = 99});
  CHECK(db.take("-ERR DB index is out of range\r\n") == Outcome::refused);
  CHECK_FALSE(db.login_refused());
}

TEST_CASE("redis handshake: tracking of all keys is asked for by BCAST") {
  const Handshake handshake(kOpen, {.protocol = Protocol::resp3, .tracking = true, .hears_all = true});
  CHECK(handshake.request().ends_with("\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$5\r\nBCAST\r\n"));
}

TEST_CASE("redis handshake: log in, learn, RESP3, database, name, tracking, in this order") {
  CHECK(full().request() ==
        "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$3\r\np w\r\n"
        "*1\r\n$7\r\nCOMMAND\r\n"
        "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
        "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nlarder\r\n"
        "*2\r\n$4\r\nINFO\r\n$12\r\ncommandstats\r\n"
        "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n");
}

TEST_CASE("redis handshake: a Redis that agrees to everything is tracked") {
  Handshake handshake = full();
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take("*0\r\n") == Outcome::more);
  CHECK(handshake.take("%1\r\n$5\r\nproto\r\n:3\r\n") == Outcome::more);
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take("=42\r\ntxt:cmdstat_swapdb:calls=3,usec=5,failed=0\r\n") == Outcome::more);
  CHECK(handshake.take("+OK\r\n") == Outcome::done);
  CHECK(handshake.swapdb_calls() == 3);
  CHECK(handshake.speaks_resp3());
  CHECK(handshake.tracks());
  CHECK(handshake.commands() == "*0\r\n");
}

TEST_CASE("redis handshake: a private connection learns its number") {
  Handshake handshake(kOpen, {.client_id = true});
  CHECK(handshake.request() ==
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nlarder\r\n*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n");
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take(":42\r\n") == Outcome::done);
  CHECK(handshake.client_id() == 42);
}

TEST_CASE("redis handshake: without RESP3 nothing is tracked, whatever CLIENT TRACKING says") {
  Handshake handshake(kOpen, {.protocol = Protocol::resp3, .tracking = true});
  CHECK(handshake.take("-ERR unknown command `HELLO`\r\n") == Outcome::more);
  CHECK(handshake.take("+OK\r\n") == Outcome::more);
  CHECK(handshake.take("$2\r\n#x\r\n") == Outcome::more);
  CHECK(handshake.take("+OK\r\n") == Outcome::done);
  CHECK_FALSE(handshake.speaks_resp3());
  CHECK_FALSE(handshake.tracks());
  CHECK(handshake.tracking_problem() == "it does not speak RESP3: ERR unknown command `HELLO`");
}

TEST_CASE("redis handshake: tracking may be denied") {
  Handshake handshake(kOpen, {.protocol = Protocol::resp3, .tracking = true});
  CHECK(handshake.take("%0\r\n") == Outcome::more);
  CHECK(handshake.take("-NOPERM no\r\n") == Outcome::more);
  CHECK(handshake.take("-NOPERM no\r\n") == Outcome::more);
  CHECK(handshake.take("-NOPERM no permissions\r\n") == Outcome::done);
  CHECK_FALSE(handshake.tracks());
  CHECK(handshake.tracking_problem() == "it refuses CLIENT TRACKING: NOPERM no permissions");
}

TEST_CASE("redis handshake: a wrong password, a missing one and a missing database are refusals") {
  Handshake wrong = full();
  CHECK(wrong.take("-WRONGPASS invalid\r\n") == Outcome::refused);
  CHECK(wrong.refusal() == "it does not accept the user or password: WRONGPASS invalid");
  Handshake missing(kOpen, {});
  CHECK(missing.take("-NOAUTH Authentication required.\r\n") == Outcome::refused);
  CHECK(missing.refusal() == "it requires a password, and redis.url has none");
  Handshake database(kOpen, {.db = 20});
  CHECK(database.take("-ERR DB index is out of range\r\n") == Outcome::refused);
  CHECK(database.refusal() == "it has no database 20: ERR DB index is out of range");
}

TEST_CASE("redis swap watch: the counter is found where INFO has it") {
  CHECK(redis::swapdb_calls("$9\r\n# nothing\r\n") == 0);
  CHECK(redis::swapdb_calls("-NOPERM\r\n") == 0);
  CHECK(redis::swapdb_calls("x\r\ncmdstat_swapdb:calls=17,usec=1\r\n") == 17);
}

TEST_CASE("redis handshake: a node that must be a master and is not is refused") {
  const Handshake::Wishes wishes{.standing = redis::Standing::master, .password_setting = "redis.x"};
  CHECK(Handshake(kOpen, wishes).request() ==
        "*1\r\n$4\r\nROLE\r\n*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nlarder\r\n");
  Handshake master(kOpen, wishes);
  CHECK(master.take("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n") == Outcome::more);
  CHECK(master.take("+OK\r\n") == Outcome::done);
  struct Case {
    const char *reply, *refusal;
  };
  for (const Case& c :
       {Case{"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:1\r\n",
             "it is not a master, but a slave"},
        Case{"*2\r\n$8\r\nsentinel\r\n*0\r\n", "it is not a master, but a sentinel"},
        Case{"-NOAUTH Authentication required.\r\n", "it requires a password, and redis.x has none"},
        Case{"-NOPERM no\r\n", "it does not tell its role: NOPERM no"}}) {
    CAPTURE(c.reply);
    Handshake handshake(kOpen, wishes);
    CHECK(handshake.take(c.reply) == Outcome::refused);
    CHECK(handshake.refusal() == c.refusal);
  }
}

TEST_CASE("redis handshake: a node that is read from must be a replica that has its master") {
  const Handshake::Wishes wishes{.standing = redis::Standing::replica, .readonly = true};
  CHECK(Handshake(kOpen, wishes).request().starts_with("*1\r\n$4\r\nROLE\r\n*1\r\n$8\r\nREADONLY\r\n"));
  Handshake replica(kOpen, wishes);
  CHECK(replica.take("*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:1\r\n") == Outcome::more);
  CHECK(replica.take("-ERR This instance has cluster support disabled\r\n") == Outcome::more);
  CHECK(replica.take("+OK\r\n") == Outcome::done);
  for (const char* const role : {"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
                                 "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$7\r\nconnect\r\n:-1\r\n"}) {
    Handshake handshake(kOpen, wishes);
    CHECK(handshake.take(role) == Outcome::refused);
    CHECK(handshake.refusal() == "it is no replica that has its master");
  }
}
