#include "backend/redis/tag_journal.h"

#include <doctest/doctest.h>

namespace larder::redis {

TEST_CASE("journal entry: it comes back as it was, whatever the tags are spelled like") {
  const TagQuery plain{.tags = {"posts"}};
  const TagQuery like_options{.tags = {"all", "async", "exact"}};
  const TagQuery narrow{
      .tags = {Bytes("a\r\n\0b", 5), "b:c"}, .reach = TagQuery::Reach::exact, .need = TagQuery::Need::all};
  for (const TagQuery& query : {plain, like_options, narrow}) {
    const Bytes member = encode({"who-7", 3, query});
    const Result<JournalEntry> entry = decode_journal_entry(member);
    REQUIRE(entry.has_value());
    CHECK(entry->id == "who-7");
    CHECK(entry->db == 3);
    CHECK(entry->query == query);
    for (std::size_t size = 0; size < member.size(); ++size)
      CHECK_FALSE(decode_journal_entry(ByteView(member).substr(0, size)).has_value());
    CHECK_FALSE(decode_journal_entry(member + "x").has_value());
  }
}

TEST_CASE("journal entry: what no Larder has written is an error") {
  for (const ByteView member :
       {"*2\r\n$1\r\na\r\n$1\r\n0\r\n", "*3\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\nt\r\n",
        "*3\r\n$1\r\na\r\n$2\r\n-1\r\n$1\r\nt\r\n", "*3\r\n$1\r\na\r\n$11\r\n99999999999\r\n$1\r\nt\r\n",
        "a 0 t\r\n", "*3\r\n$1\r\na\r\n$1\r\n0\r\n$2\r\n::\r\n", "*-1\r\n", "$1\r\na\r\n"})
    CHECK_FALSE(decode_journal_entry(member).has_value());
}

}  // namespace larder::redis
