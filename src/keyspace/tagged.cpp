#include <algorithm>
#include <utility>

#include "keyspace/keyspace.h"
#include "keyspace/shard.h"

// What the keyspace, as a store, does with all records of a tag.

namespace larder {

std::uint64_t Keyspace::count_tagged(int db, const TagQuery& query, UnixMs now_ms) {
  std::uint64_t count = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    for (const Record* record : shard->tags(physical(db)).find(query).records)
      count += !record->is_expired(now_ms);
  }
  return count;
}

std::uint64_t Keyspace::scan_tagged(int db, const TagQuery& query, std::uint64_t cursor, std::size_t count,
                                    UnixMs now_ms, FunctionRef<void(ByteView key)> visit) {
  struct Found {
    std::uint32_t hash;
    const Record* record;
  };
  std::vector<Found> found;
  auto hash = static_cast<std::uint32_t>(cursor);
  for (std::size_t index = cursor >> kScanShift; index < shards_.size(); ++index, hash = 0) {
    Shard& shard = *shards_[index];
    const std::lock_guard lock(shard.mutex);
    found.clear();
    for (const Record* record : shard.tags(physical(db)).find(query).records)
      if (shard.hash_of(*record) >= hash) found.push_back({shard.hash_of(*record), record});
    std::ranges::sort(found, {}, &Found::hash);
    for (std::size_t i = 0; i < found.size(); ++i) {
      // Records of one hash belong together: a cursor cannot point between them.
      const bool is_tied = i > 0 && found[i].hash == found[i - 1].hash;
      if (count == 0 && !is_tied) return static_cast<std::uint64_t>(index) << kScanShift | found[i].hash;
      count -= count > 0 ? 1 : 0;
      if (!found[i].record->is_expired(now_ms)) visit(found[i].record->key());
    }
    if (count == 0 && index + 1 < shards_.size()) return static_cast<std::uint64_t>(index + 1) << kScanShift;
  }
  return 0;
}

std::uint64_t Keyspace::invalidate(int db, const TagQuery& query, UnixMs now_ms) {
  Invalidation invalidation(*this, db, query);
  while (!invalidation.step(now_ms)) {
  }
  return invalidation.live();
}

Keyspace::Invalidation::Invalidation(Keyspace& keyspace, int db, TagQuery query)
    : keyspace_(keyspace),
      query_(std::move(query)),
      place_(keyspace.place_of(db)),
      running_(keyspace.invalidations_, place_, query_) {}

bool Keyspace::Invalidation::step(UnixMs now_ms) {
  constexpr std::size_t kMost = 1000;
  for (std::size_t dropped = 0; shard_ < keyspace_.shards_.size() && dropped < kMost;) {
    Shard& shard = *keyspace_.shards_[shard_];
    const std::lock_guard lock(shard.mutex);
    const auto [records, is_all] = shard.tags(place_).find(query_, kMost);
    for (Record* record : records) {
      live_ += !record->is_expired(now_ms);
      shard.counters.invalidations.add();
      shard.drop(*record, shard.hash_of(*record));
    }
    dropped += records.size();
    shard_ += is_all;
  }
  return shard_ == keyspace_.shards_.size();
}

int Keyspace::place_of(int db) const {
  const std::lock_guard lock(shards_.front()->mutex);
  return physical(db);
}

}  // namespace larder
