#include <doctest/doctest.h>

#include "backend/redis/master_view.h"
#include "backend/redis/sentinel_replies.h"
#include "resp/reply_writer.h"

using namespace larder;
using namespace larder::redis;

TEST_CASE("sentinel replies: the address of a master, in both protocols") {
  const auto named = parse_master_address("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n");
  REQUIRE(named);
  CHECK(*named == Endpoint{"127.0.0.1", 6380});
  for (const char* const none :
       {"*-1\r\n", "_\r\n", "-ERR no\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\na\r\n$5\r\n65536\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "*1\r\n$1\r\na\r\n", ":1\r\n"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_master_address(none));
  }
}

TEST_CASE("sentinel replies: the epoch of a master's configuration") {
  CHECK(parse_config_epoch("*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n17\r\n") == 17);
  CHECK(parse_config_epoch("%2\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$1\r\n3\r\n") == 3);
  CHECK(parse_config_epoch("*4\r\n$4\r\nname\r\n$12\r\nconfig-epoch\r\n$1\r\nx\r\n$1\r\n9\r\n") == 0);
  CHECK(parse_config_epoch("-ERR No such master with that name\r\n") == 0);
}

TEST_CASE("sentinel replies: replicas that work and have their master") {
  const auto replica = [](const char* port, const char* flags, const char* link) {
    Bytes out;
    ReplyWriter writer(out, Protocol::resp2);
    writer.begin_array(8);
    for (const char* word : {"flags", flags, "ip", "127.0.0.1", "port", port, "master-link-status", link})
      writer.bulk(word);
    return out;
  };
  const Bytes all = "*4\r\n" + replica("9", "slave", "ok") + replica("8", "s_down,slave,disconnected", "ok") +
                    replica("7", "slave", "err") + replica("6", "slave", "ok");
  CHECK(parse_replicas(all) == std::vector<Endpoint>{{"127.0.0.1", 6}, {"127.0.0.1", 9}});
  Bytes as_map = replica("6", "slave", "ok");
  as_map.replace(0, 2, "%4");
  CHECK(parse_replicas("*1\r\n" + as_map) == std::vector<Endpoint>{{"127.0.0.1", 6}});
  for (const char* const none :
       {"*0\r\n", "-ERR No such master with that name\r\n", "*1\r\n*0\r\n", "*-1\r\n"})
    CHECK(parse_replicas(none).empty());
}

TEST_CASE("sentinel replies: a message is told from the answer to SUBSCRIBE") {
  CHECK(is_message(">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n"));
  CHECK_FALSE(is_message(">3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"));
  CHECK_FALSE(is_message(">0\r\n"));
}

TEST_CASE("master view: news move the version, and only a change of the master is a switch") {
  MasterView view;
  CHECK(view.set_problem("nobody answers"));
  CHECK_FALSE(view.set_problem("nobody answers"));
  const auto before = view.version();
  CHECK(view.set_master({"a", 1}));
  CHECK(view.version() != before);
  CHECK(view.state().problem.empty());
  CHECK(view.switches() == 0);
  CHECK_FALSE(view.set_master({"a", 1}));
  CHECK_FALSE(view.set_problem("too late"));
  CHECK(view.set_master({"b", 1}));
  CHECK(view.switches() == 1);
  CHECK(view.state().master == Endpoint{"b", 1});
}
