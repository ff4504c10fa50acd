#include <algorithm>

#include <doctest/doctest.h>

#include "command/desk.h"
#include "command/help.h"

namespace larder {

TEST_CASE("introspection: COMMAND and COMMAND INFO list the top level") {
  Desk desk;
  const std::int64_t top_level = std::ranges::count_if(
      all_commands(), [](const CommandSpec& spec) { return spec.name.find('|') == ByteView::npos; });
  const Bytes count = std::to_string(top_level);
  CHECK(desk.ask("COMMAND COUNT") == ":" + count + "\r\n");
  CHECK(desk.ask("COMMAND").starts_with("*" + count + "\r\n*10\r\n$3\r\nacl\r\n:-2\r\n"));
  CHECK(desk.ask("COMMAND INFO") == desk.ask("COMMAND"));
  CHECK(desk.ask("COMMAND LIST").starts_with("*" + std::to_string(all_commands().size()) + "\r\n"));
}

TEST_CASE("introspection: a container's documentation holds its subcommands") {
  Desk desk;
  desk.protocol = Protocol::resp3;
  const Bytes docs = desk.ask("COMMAND DOCS memory");
  CHECK(docs.starts_with("%1\r\n$6\r\nmemory\r\n%5\r\n$7\r\nsummary\r\n"));
  CHECK(docs.find("$11\r\nsubcommands\r\n%6\r\n$13\r\nmemory|doctor\r\n") != Bytes::npos);
  CHECK(desk.ask("COMMAND DOCS").size() > 10'000);
}

TEST_CASE("introspection: lists are filtered by pattern and category") {
  Desk desk;
  CHECK(desk.ask("COMMAND LIST FILTERBY PATTERN object|*").starts_with("*5\r\n"));
  CHECK(desk.ask("COMMAND LIST FILTERBY ACLCAT string").find("append") != Bytes::npos);
  CHECK(desk.ask("COMMAND LIST FILTERBY ACLCAT string").find("ttl") == Bytes::npos);
  CHECK(desk.ask("COMMAND LIST FILTERBY aclcat DANGEROUS").find("flushall") != Bytes::npos);
}

TEST_CASE("introspection: every container prints its help") {
  for (const ByteView container :
       {"client", "command", "config", "debug", "latency", "memory", "object", "pubsub", "slowlog"}) {
    Bytes out;
    ReplyWriter reply(out, Protocol::resp2);
    append_help(reply, container);
    CHECK(out.ends_with("+HELP\r\n+    Prints this help.\r\n"));
  }
}

}  // namespace larder
