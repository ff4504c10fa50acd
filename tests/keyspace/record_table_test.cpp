#include "keyspace/record_table.h"

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace larder {
namespace {

/// Records that live as long as the test.
class Pool {
 public:
  ~Pool() {
    for (Record* record : records_) std::free(record);
  }

  Record& make(ByteView key) {
    // Room for a value nobody writes: without it GCC 12 imagines a key of size -1 and warns of an overflow.
    void* memory = std::malloc(Record::size_for({}, key.size(), 8));
    records_.push_back(Record::make(memory, {}, 0, key, 0));
    return *records_.back();
  }

 private:
  std::vector<Record*> records_;
};

using Model = std::multimap<std::uint32_t, Record*>;

void check_same(const RecordTable& table, const Model& model) {
  CHECK(table.size() == model.size());
  std::multiset<std::pair<std::uint32_t, const Record*>> expected(model.begin(), model.end());
  std::multiset<std::pair<std::uint32_t, const Record*>> seen;
  std::uint32_t previous = 0;
  for (std::size_t slot = table.first_from(0); slot != RecordTable::kNone; slot = table.next(slot)) {
    CHECK(table.hash_at(slot) >= previous);
    previous = table.hash_at(slot);
    seen.emplace(table.hash_at(slot), table.at(slot));
  }
  CHECK(seen == expected);
}

/// Hashes of one kind: spread out, crowded on few values, or all in the last quarter of the range.
using HashOf = std::uint32_t (*)(std::mt19937&);

std::uint32_t spread(std::mt19937& random) {
  return static_cast<std::uint32_t>(random());
}
std::uint32_t crowded(std::mt19937& random) {
  return (static_cast<std::uint32_t>(random()) % 50) * 0x05000000u;
}
std::uint32_t at_the_end(std::mt19937& random) {
  return static_cast<std::uint32_t>(random()) | 0xc0000000u;
}

void insert_one(RecordTable& table, Model& model, Pool& pool, std::uint32_t hash, int number) {
  Record& record = pool.make("key:" + std::to_string(number));
  table.insert(hash, record);
  model.emplace(hash, &record);
}

void erase_one(RecordTable& table, Model& model, std::mt19937& random) {
  const auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
  const std::size_t slot = table.find(victim->first, *victim->second);
  CHECK(slot == table.find(victim->first, victim->second->key()));
  table.erase(slot);
  model.erase(victim);
}

TEST_CASE("record table: random insertions and erasures keep it equal to a multimap") {
  for (const HashOf hash_of : {spread, crowded, at_the_end}) {
    std::mt19937 random(7);
    RecordTable table;
    Model model;
    Pool pool;
    int number = 0;
    for (const int target : {300, 20, 2000, 0, 1200, 5}) {
      while (static_cast<int>(model.size()) != target) {
        const bool grows = static_cast<int>(model.size()) < target;
        if (model.empty() || (random() % 4 != 0) == grows)
          insert_one(table, model, pool, hash_of(random), number++);
        else
          erase_one(table, model, random);
      }
      check_same(table, model);
    }
  }
}

TEST_CASE("record table: find tells keys of one hash apart") {
  RecordTable table;
  Pool pool;
  for (int i = 0; i < 100; ++i) table.insert(42, pool.make(std::to_string(i)));
  for (int i = 0; i < 100; ++i)
    CHECK(table.at(table.find(42, std::to_string(i)))->key() == std::to_string(i));
  CHECK(table.find(42, "100") == RecordTable::kNone);
  CHECK(table.find(41, "1") == RecordTable::kNone);
  CHECK(table.find(43, "1") == RecordTable::kNone);
}

TEST_CASE("record table: first_from finds the lower bound") {
  RecordTable table;
  Pool pool;
  Model model;
  std::mt19937 random(11);
  for (int i = 0; i < 500; ++i) insert_one(table, model, pool, spread(random), i);
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t from = spread(random);
    const auto expected = model.lower_bound(from);
    const std::size_t slot = table.first_from(from);
    CHECK((slot == RecordTable::kNone) == (expected == model.end()));
    if (slot != RecordTable::kNone) CHECK(table.hash_at(slot) == expected->first);
  }
}

TEST_CASE("record table: an empty one holds no memory and finds nothing") {
  const RecordTable table;
  CHECK(table.bytes() == 0);
  CHECK(table.find(1, "k") == RecordTable::kNone);
  CHECK(table.first_from(0) == RecordTable::kNone);
}

TEST_CASE("record table: gives memory back when it empties") {
  RecordTable table;
  Pool pool;
  Model model;
  std::mt19937 random(3);
  for (int i = 0; i < 5000; ++i) insert_one(table, model, pool, spread(random), i);
  const std::size_t full = table.bytes();
  CHECK(full < 5000 * 17);
  while (model.size() > 50) erase_one(table, model, random);
  CHECK(table.bytes() < full / 10);
}

}  // namespace
}  // namespace larder
