#include <algorithm>

#include <doctest/doctest.h>

#include "command/docs.h"
#include "command/limits.h"
#include "command/spec.h"

namespace larder {
namespace {

std::vector<KeyRef> keys_of(ByteView name, std::vector<ByteView> argv, int db = 0) {
  Bytes out;
  ReplyWriter reply(out, Protocol::resp2);
  const Call call{argv, db, 0, reply};
  std::vector<KeyRef> keys;
  collect_keys(*find_command(name), call, keys);
  return keys;
}

Bytes upper(ByteView name) {
  Bytes text(name);
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

}  // namespace

TEST_CASE("table: every row is found by its name in any case, and has its words") {
  for (const CommandSpec& spec : all_commands()) {
    CAPTURE(spec.name);
    CHECK(doc_of(spec.name).name == spec.name);
    const std::size_t bar = spec.name.find('|');
    const CommandSpec* const top = find_command(upper(spec.name.substr(0, bar)));
    REQUIRE(top);
    if (bar == ByteView::npos)
      CHECK(top == &spec);
    else
      CHECK(find_subcommand(*top, upper(spec.name.substr(bar + 1))) == &spec);
  }
}

TEST_CASE("table: data commands have a handler, the others have none") {
  for (const CommandSpec& spec : all_commands()) {
    CAPTURE(spec.name);
    CHECK((spec.run != nullptr) == (spec.runner == Runner::data));
  }
}

TEST_CASE("table: what is no command is not found") {
  for (const ByteView name : {"", "g", "gett", "ge\0", "get ", "object|freq", "|", "\xc7\xc5\xd4", "GE\x14"})
    CHECK(find_command(name) == nullptr);
  CHECK(find_subcommand(*find_command("object"), "") == nullptr);
  CHECK(find_subcommand(*find_command("object"), "freqs") == nullptr);
  CHECK(find_subcommand(*find_command("config"), "freq") == nullptr);
}

TEST_CASE("table: keys are where the row says") {
  CHECK(keys_of("get", {"get", "a"}).size() == 1);
  CHECK(keys_of("del", {"del", "a", "b", "c"}).size() == 3);
  CHECK(keys_of("ping", {"ping", "a"}).empty());
  const std::vector<KeyRef> pairs = keys_of("mset", {"mset", "a", "1", "b", "2"});
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[1].bytes == "b");
}

TEST_CASE("table: copy and move name keys of two databases, or one when the other is wrong") {
  const std::vector<KeyRef> copied = keys_of("copy", {"copy", "a", "b", "REPLACE", "DB", "7"}, 3);
  REQUIRE(copied.size() == 2);
  CHECK((copied[0].db == 3 && copied[0].bytes == "a"));
  CHECK((copied[1].db == 7 && copied[1].bytes == "b"));
  const std::vector<KeyRef> moved = keys_of("move", {"move", "a", "5"});
  REQUIRE(moved.size() == 2);
  CHECK((moved[1].db == 5 && moved[1].bytes == "a"));
  CHECK(keys_of("move", {"move", "a", "16"}).size() == 1);
  CHECK(keys_of("copy", {"copy", "a", "b", "DB", "x"}).size() == 1);
}

}  // namespace larder
