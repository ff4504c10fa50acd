#include <doctest/doctest.h>

#include "backend/postgres/notification.h"
#include "backend/postgres/schema.h"
#include "backend/postgres/sql.h"

namespace larder::postgres {
namespace {

struct Heard {
  std::vector<std::pair<int, Bytes>> keys;
  bool everything = false;
};

Heard hear(ByteView keys) {
  Heard heard;
  read_notification(
      keys, [&](int db, ByteView key) { heard.keys.emplace_back(db, key); },
      [&] { heard.everything = true; });
  return heard;
}

std::vector<Bytes> written(const std::vector<KeyRef>& keys) {
  std::vector<Bytes> payloads;
  NotificationWriter writer(7, [&](ByteView payload) { payloads.emplace_back(payload); });
  for (const KeyRef& key : keys) writer.add(key);
  writer.finish();
  return payloads;
}

TEST_CASE("notification: keys go there and back, binary ones too") {
  const Bytes binary("\0,: \xff", 5);
  const auto payloads = written({{0, "a"}, {15, binary}, {3, ""}});
  REQUIRE(payloads == std::vector<Bytes>{"7 0:61,15:002c3a20ff,3:"});
  const Heard heard = hear(payloads[0].substr(2));
  CHECK(heard.keys == std::vector<std::pair<int, Bytes>>{{0, "a"}, {15, binary}, {3, ""}});
  CHECK_FALSE(heard.everything);
}

TEST_CASE("notification: payloads stay below 8000 bytes, too many become everything") {
  std::vector<Bytes> names;
  for (int i = 0; i < 1000; ++i) names.push_back(Bytes(40, 'k') + std::to_string(i));
  std::vector<KeyRef> keys;
  for (const Bytes& name : names) keys.emplace_back(0, name);
  const auto payloads = written(keys);
  CHECK(payloads.size() > 1);
  std::size_t heard = 0;
  for (const Bytes& payload : payloads) {
    CHECK(payload.size() < 8000);
    heard += hear(payload.substr(2)).keys.size();
  }
  CHECK(heard == 1000);
  const Bytes huge(5000, 'k');
  CHECK(written({{0, huge}}) == std::vector<Bytes>{"7 *"});
  CHECK(written({}).empty());
}

TEST_CASE("notification: what cannot be read means everything") {
  for (const ByteView bad : {"*", "x", "0", "0:6", "0:6x", ":61", "0:61,*", "0:61,1"})
    CHECK(hear(bad).everything);
}

TEST_CASE("params: an array in PostgreSQL's binary form") {
  Params params;
  params.begin_array(Params::Element::bytes);
  params.element("ab");
  params.element("");
  params.end_array();
  params.add_int8(-2);
  const Params::Raw& raw = params.raw();
  REQUIRE(raw.values.size() == 2);
  const ByteView array(raw.values[0], static_cast<std::size_t>(raw.lengths[0]));
  CHECK(array == ByteView("\0\0\0\1\0\0\0\0\0\0\0\x11\0\0\0\2\0\0\0\1\0\0\0\2ab\0\0\0\0", 30));
  CHECK(ByteView(raw.values[1], 8) == "\xff\xff\xff\xff\xff\xff\xff\xfe");
}

TEST_CASE("schema: only names that need no quotes") {
  for (const char* good : {"larder", "a", "_x9"}) CHECK(is_valid_schema_name(good));
  for (const char* bad :
       {"", "9a", "Larder", "a-b", "a b", "a;b", "pg_x", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx"})
    CHECK_FALSE(is_valid_schema_name(bad));
}

}  // namespace
}  // namespace larder::postgres
