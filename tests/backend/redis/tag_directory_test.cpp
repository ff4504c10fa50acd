#include "backend/redis/tag_directory.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "backend/redis/slot_name.h"
#include "backend/redis/tag_names.h"

using namespace larder;
using namespace larder::redis;

TEST_CASE("slot names: each hashes to its slot, and they never change") {
  std::set<std::string> names;
  for (std::uint16_t slot = 0; slot < kHashSlots; ++slot) {
    const std::string& name = slot_name(slot);
    CHECK(hash_slot(name) == slot);
    CHECK(name.size() <= 3);
    names.insert(name);
  }
  CHECK(names.size() == kHashSlots);
  CHECK(slot_name(0) == "06S");
  CHECK(slot_name(hash_slot("0")) == "0");
}

TEST_CASE("bookkeeping: all of a slot's is in the slot, whatever the tag is") {
  const TagGroup group = TagGroup::of_slot("larder:tags:", 77);
  for (const std::string& name : {group.handle(), group.records(), group.registry(), group.index("{a}:b")})
    CHECK(hash_slot(name) == 77);
  CHECK(hash_slot(TagDirectory::name("t:", 77)) == 77);
  CHECK(TagGroup::of_database("t:").own_keys() == std::vector<std::string>{"t:r"});
}

TEST_CASE("tag directory: whoever asks for a tag or what covers it reads a page that has it") {
  const auto is_on = [](ByteView tag, ByteView query) {
    std::vector<TagDirectory::Entry> entries;
    TagDirectory::append_entries(tag, 5, entries);
    return std::ranges::find(entries, TagDirectory::Entry{TagDirectory::page_of(query), 5}) != entries.end();
  };
  CHECK(is_on("a", "a"));
  CHECK(is_on("a:b", "a"));
  CHECK(is_on("a:b", "a:b"));
  CHECK(is_on("a:b:c", "a"));
  CHECK(is_on("a:b:c", "a:b"));
  CHECK(is_on("a:b:c", "a:b:c"));
  CHECK_FALSE(is_on("a:b:c", "a:c"));
  CHECK_FALSE(is_on("a", "b"));
}

TEST_CASE("tag directory: after a doubt nothing is known, nor what was asked for before it") {
  TagDirectory directory;
  const TagDirectory::Entry entry{3, 16383}, other{3, 0};
  const std::uint32_t before = directory.epoch();
  CHECK_FALSE(directory.knows(entry));
  directory.learn(entry, before);
  CHECK(directory.knows(entry));
  CHECK_FALSE(directory.knows(other));
  directory.doubt();
  CHECK_FALSE(directory.knows(entry));
  directory.learn(entry, before);
  CHECK_FALSE(directory.knows(entry));
  directory.learn(entry, directory.epoch());
  CHECK(directory.knows(entry));
}

TEST_CASE("tag directory: a slot that had bookkeeping is not forgotten") {
  TagDirectory directory;
  CHECK(directory.was_used(TagDirectory::kEverythingsSlot));
  CHECK_FALSE(directory.was_used(77));
  directory.learn({77, 5}, directory.epoch());
  CHECK_FALSE(directory.was_used(77));
  directory.learn({TagDirectory::kEverything, 77}, directory.epoch());
  directory.doubt();
  CHECK_FALSE(directory.knows({TagDirectory::kEverything, 77}));
  CHECK(directory.was_used(77));
}

TEST_CASE("tag directory: it is trusted when a comparison began after the last doubt") {
  TagDirectory directory;
  CHECK_FALSE(directory.is_trusted());
  const std::uint32_t begun = directory.begin_check();
  directory.recheck();
  directory.trust(begun);
  CHECK_FALSE(directory.is_trusted());
  directory.trust(directory.begin_check());
  CHECK(directory.is_trusted());
  directory.lose_master();
  CHECK_FALSE(directory.is_trusted());
}

TEST_CASE("tag directory: bits of a page are Redis'") {
  CHECK(has_bit("\x80", 0));
  CHECK_FALSE(has_bit("\x80", 1));
  CHECK(has_bit(ByteView("\x00\x01", 2), 15));
  CHECK_FALSE(has_bit("\xff", 8));
}
