#include "backend/redis/known_commands.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "backend/block.h"
#include "backend/redis/fake_request.h"

using namespace larder;
using namespace larder::redis;

namespace {

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
  commands.append_written_keys(asked.request, commands.route(asked.request), keys);
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

TEST_CASE("redis commands: the upstream's arity is known") {
  const KnownCommands commands = taught();
  CHECK(commands.route(Asked({"json.get", "k"}).request).takes(2));
  CHECK_FALSE(commands.route(Asked({"json.get"}).request).takes(1));
  CHECK(commands.route(Asked({"nosuch"}).request).takes(1));
}

TEST_CASE("redis commands: subcommands have rows of their own") {
  CHECK(written(taught(), {"XGROUP", "Create", "stream", "group"}) == std::vector<std::string>{"stream"});
}

TEST_CASE("redis commands: the store of a union writes the key in its row") {
  CHECK(written(taught(), {"zunionstore", "out", "1", "in"}) == std::vector<std::string>{"out"});
}

TEST_CASE("redis commands: scripts change anything") {
  CHECK(effect(taught(), {"eval", "return 1", "0"}) == Effect::all);
}

TEST_CASE("redis commands: what cannot share a connection, and why") {
  const KnownCommands commands;
  const auto need = [&](std::vector<ByteView> words) {
    return commands.route(Asked(std::move(words)).request).needs;
  };
  for (const ByteView name : {"blpop", "BLMOVE", "bzmpop", "wait"})
    CHECK(need({name, "x"}) == Private::blocks);
  for (const ByteView name : {"WATCH", "unwatch"}) CHECK(need({name, "x"}) == Private::watches);
  for (const ByteView name : {"subscribe", "SUNSUBSCRIBE"}) CHECK(need({name, "x"}) == Private::subscribes);
  for (const ByteView name : {"psync", "asking"}) CHECK(need({name, "x"}) == Private::not_for_clients);
  for (const ByteView name : {"get", "lpop", "publish"}) CHECK(need({name, "x"}) == Private::no);
  CHECK(need({"xread"}) == Private::may_block);
  CHECK(asks_to_block(Asked({"xread", "block", "0", "streams", "s", "$"}).request));
  CHECK_FALSE(asks_to_block(Asked({"xread", "count", "1", "streams", "block", "0"}).request));
  CHECK(asks_to_block(
      Asked({"xreadgroup", "group", "streams", "c", "block", "0", "streams", "s", ">"}).request));
  CHECK_FALSE(asks_to_block(Asked({"xreadgroup", "group", "g", "block", "streams", "s", ">"}).request));
}

TEST_CASE("redis commands: what takes a connection over is refused") {
  const auto bars = [](std::vector<ByteView> words) {
    const Asked asked(std::move(words));
    return KnownCommands::bars(asked.request, KnownCommands().route(asked.request));
  };
  CHECK(bars({"SCRIPT", "Debug", "yes"}));
  CHECK(bars({"script", "debug", "sync"}));
  CHECK(bars({"REPLCONF", "ack", "0"}));
  CHECK_FALSE(bars({"script", "debug", "NO"}));
  CHECK_FALSE(bars({"script", "debug"}));
  CHECK_FALSE(bars({"script", "load", "return 1"}));
}

TEST_CASE("redis commands: a module's command that blocks cannot share a connection either") {
  KnownCommands commands;
  commands.learn("*1\r\n" + row("mod.wait", {"write", "blocking"}, ":1\r\n:1\r\n:1\r\n", "*0\r\n"));
  CHECK(commands.route(Asked({"mod.wait", "k"}).request).needs == Private::blocks);
}

namespace {

/// EXEC as it reaches a backend: the commands, by words, between MULTI and EXEC.
Bytes block_of(const std::vector<std::vector<ByteView>>& commands) {
  Bytes raw(kBlockBegin);
  ReplyWriter writer(raw, Protocol::resp2);
  for (const auto& words : commands) {
    writer.begin_array(words.size());
    for (const ByteView word : words) writer.bulk(word);
  }
  return raw.append(kBlockEnd);
}

}  // namespace

TEST_CASE("redis commands: of a transaction is true what is true of its commands") {
  const KnownCommands commands;
  const auto look = [&](const std::vector<std::vector<ByteView>>& queued, auto&& check) {
    const Bytes raw = block_of(queued);
    Asked asked({"exec"});
    asked.request.raw = raw;
    const Route route = commands.route(asked.request);
    std::vector<KeyRef> written;
    commands.append_written_keys(asked.request, route, written);
    std::vector<ByteView> keys;
    commands.append_keys(asked.request, route, keys);
    check(route, written.size(), keys.size());
  };
  look({}, [](const Route& route, std::size_t written, std::size_t keys) {
    CHECK((route.queued == 0 && route.effect == Effect::none && written == 0 && keys == 0));
  });
  look({{"get", "a"}, {"MGET", "b", "c"}}, [](const Route& route, std::size_t written, std::size_t keys) {
    CHECK((route.queued == 2 && route.effect == Effect::none && written == 0 && keys == 3));
  });
  look({{"get", "a"}, {"SET", "b", "*1\r\n$4\r\nEXEC\r\n"}, {"mset", "c", "1", "d", "2"}},
       [](const Route& route, std::size_t written, std::size_t keys) {
         CHECK((route.queued == 3 && route.effect == Effect::keys && written == 3 && keys == 4));
       });
  look({{"set", "a", "1"}, {"flushall"}}, [](const Route& route, std::size_t, std::size_t keys) {
    CHECK((route.queued == 2 && route.effect == Effect::all && keys == 1));
  });
  look({{"select", "3"}, {"set", "a", "1"}}, [](const Route& route, std::size_t, std::size_t) {
    CHECK((route.selects && route.effect == Effect::all));
  });
  look({{"tagcount", "t"}, {"del", "a"}}, [](const Route& route, std::size_t, std::size_t) {
    CHECK((route.tags == TagRole::block && route.has_all_of_tag && !route.tells && !route.repeats_keys));
  });
  look({{"tagkeys", "t"}}, [](const Route& route, std::size_t, std::size_t keys) {
    CHECK((route.has_all_of_tag && !route.first_key && keys == 0));
  });
  look({{"set", "a", "1", "tags", "1", "t"}, {"taglist", "a"}},
       [](const Route& route, std::size_t, std::size_t) {
         CHECK((route.tags == TagRole::block && !route.has_all_of_tag && route.first_key == "a"));
       });
  look({{"del", "a"}, {"set", "a", "1"}, {"taginvalidate", "t"}},
       [](const Route& route, std::size_t, std::size_t) {
         CHECK((route.tells && route.repeats_keys && route.effect == Effect::keys));
       });
}
