#include "backend/redis/known_commands.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace larder;
using namespace larder::redis;

namespace {

class NoCaller final : public Caller {
 public:
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {bytes_, Protocol::resp2}; }
  void finish(Ticket) override {}
  std::size_t pending() const noexcept override { return 0; }

 private:
  Bytes bytes_;
};

/// A request as the server hands it over: with its row, when the table has one.
struct Asked {
  explicit Asked(std::vector<ByteView> words) : argv(std::move(words)) {
    request.argv = argv;
    request.spec = find_command(argv[0]);
  }
  std::vector<ByteView> argv;
  NoCaller caller;
  Bytes bytes;
  ReplyWriter reply{bytes, Protocol::resp2};
  Request request{nullptr, {}, {}, 0, caller, reply};
};

std::string bulk(ByteView text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// A row of COMMAND's reply as Redis 7 writes it.
std::string row(ByteView name, std::vector<ByteView> flags, const std::string& keys,
                const std::string& subcommands) {
  std::string out = "*10\r\n" + bulk(name) + ":-2\r\n*" + std::to_string(flags.size()) + "\r\n";
  for (const ByteView flag : flags) out += "+" + std::string(flag) + "\r\n";
  return out + keys + "*1\r\n+@slow\r\n*0\r\n*1\r\n*2\r\n" + bulk("flags") + "*1\r\n+RW\r\n" + subcommands;
}

KnownCommands taught() {
  KnownCommands commands;
  commands.learn("*6\r\n" + row("json.set", {"write", "denyoom"}, ":1\r\n:1\r\n:1\r\n", "*0\r\n") +
                 row("json.get", {"readonly"}, ":1\r\n:1\r\n:1\r\n", "*0\r\n") +
                 row("mod.evil", {}, ":0\r\n:0\r\n:0\r\n", "*0\r\n") +
                 row("mod.stat", {"admin"}, ":0\r\n:0\r\n:0\r\n", "*0\r\n") +
                 row("xgroup", {}, ":0\r\n:0\r\n:0\r\n",
                     "*1\r\n" + row("xgroup|create", {"write"}, ":2\r\n:2\r\n:1\r\n", "*0\r\n")) +
                 row("zunionstore", {"write", "movablekeys"}, ":1\r\n:1\r\n:1\r\n", "*0\r\n"));
  return commands;
}

Effect effect(const KnownCommands& commands, std::vector<ByteView> words) {
  return commands.route(Asked(std::move(words)).request).effect;
}

std::vector<std::string> written(const KnownCommands& commands, std::vector<ByteView> words) {
  const Asked asked(std::move(words));
  std::vector<KeyRef> keys;
  collect_written_keys(asked.request, commands.route(asked.request), keys);
  std::vector<std::string> names;
  for (const KeyRef& key : keys) names.emplace_back(key.bytes);
  return names;
}

}  // namespace

TEST_CASE("redis commands: our table says what changes") {
  const KnownCommands commands;
  CHECK(effect(commands, {"get", "k"}) == Effect::none);
  CHECK(effect(commands, {"SET", "k", "v"}) == Effect::keys);
  CHECK(effect(commands, {"flushall"}) == Effect::all);
  CHECK(written(commands, {"mset", "a", "1", "b", "2"}) == std::vector<std::string>{"a", "b"});
  CHECK(commands.route(Asked({"get", "k"}).request).scalar_reply);
}

TEST_CASE("redis commands: what nobody knows may change anything") {
  CHECK(effect(KnownCommands(), {"json.get", "k"}) == Effect::all);
  CHECK(effect(taught(), {"nosuch", "k"}) == Effect::all);
}

TEST_CASE("redis commands: what the upstream says of its commands is believed") {
  const KnownCommands commands = taught();
  CHECK(effect(commands, {"JSON.GET", "k"}) == Effect::none);
  CHECK(effect(commands, {"json.set", "k"}) == Effect::keys);
  CHECK(written(commands, {"json.set", "k", "$", "1"}) == std::vector<std::string>{"k"});
  CHECK(effect(commands, {"mod.evil"}) == Effect::all);
  CHECK(effect(commands, {"mod.stat"}) == Effect::none);
}

TEST_CASE("redis commands: subcommands have rows of their own") {
  CHECK(written(taught(), {"XGROUP", "Create", "stream", "group"}) == std::vector<std::string>{"stream"});
}

TEST_CASE("redis commands: the store of a union writes the key in its row") {
  CHECK(written(taught(), {"zunionstore", "out", "1", "in"}) == std::vector<std::string>{"out"});
}

TEST_CASE("redis commands: scripts change anything; waiting and transactions need their own connection") {
  const KnownCommands commands = taught();
  CHECK(effect(commands, {"eval", "return 1", "0"}) == Effect::all);
  for (const ByteView name : {"multi", "EXEC", "blpop", "subscribe", "watch", "wait"})
    CHECK_MESSAGE(commands.route(Asked({name, "x"}).request).private_upstream, std::string(name));
  CHECK(blocks(Asked({"xread", "block", "0", "streams", "s", "$"}).request));
  CHECK_FALSE(blocks(Asked({"xread", "count", "1", "streams", "block", "0"}).request));
}
