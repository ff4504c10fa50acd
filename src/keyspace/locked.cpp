#include <algorithm>
#include <cstring>
#include <numeric>

#include "keyspace/keyspace.h"
#include "keyspace/shard.h"

namespace larder {

Keyspace::Locked::Locked(Keyspace& keyspace, std::span<const KeyRef> keys, UnixMs now_ms, ReaderId author)
    : keyspace_(keyspace), now_ms_(now_ms), author_(author) {
  if (keys.size() == 1) {
    single_ = &keyspace.shard_of(keys.front().hash);
    single_->mutex.lock();
    return;
  }
  // In shard order, so that two commands never wait for each other.
  for (const KeyRef& key : keys) indexes_.push_back(keyspace.shard_index(key.hash));
  std::ranges::sort(indexes_);
  indexes_.erase(std::unique(indexes_.begin(), indexes_.end()), indexes_.end());
  for (const std::size_t index : indexes_) keyspace.shards_[index]->mutex.lock();
}

Keyspace::Locked::Locked(Keyspace& keyspace, UnixMs now_ms, AllShards, ReaderId author)
    : keyspace_(keyspace), now_ms_(now_ms), author_(author), indexes_(keyspace.shards_.size()) {
  std::iota(indexes_.begin(), indexes_.end(), std::size_t{0});
  for (const auto& shard : keyspace.shards_) shard->mutex.lock();
}

Keyspace::Locked::~Locked() {
  if (single_ != nullptr) {
    single_->mutex.unlock();
    if (keyspace_.is_over_budget()) keyspace_.enforce_budget(*single_);
  }
  for (const std::size_t index : indexes_) keyspace_.shards_[index]->mutex.unlock();
  for (const std::size_t index : indexes_) keyspace_.enforce_budget(*keyspace_.shards_[index]);
}

Shard& Keyspace::Locked::shard_of(const KeyRef& key) noexcept {
  return single_ != nullptr ? *single_ : keyspace_.shard_of(key.hash);
}

/// The live record; an expired one is freed on the way.
Record* Keyspace::Locked::record(const KeyRef& key) {
  Shard& shard = shard_of(key);
  const std::uint32_t hash = keyspace_.hash_in(key);
  Record* found = shard.find(keyspace_.physical(key.db), hash, key.bytes);
  if (found == nullptr || !found->is_expired(now_ms_)) return found;
  shard.counters.expired.add();
  shard.drop(*found, hash);
  return nullptr;
}

std::optional<Item> Keyspace::Locked::find(const KeyRef& key) {
  Record* found = record(key);
  Shard& shard = shard_of(key);
  (found != nullptr ? shard.counters.hits : shard.counters.misses).add();
  if (found == nullptr) return std::nullopt;
  shard.touch(*found, keyspace_.eviction());
  return Item{found->value(), found->expire_at(), found->type()};
}

void Keyspace::Locked::put(const KeyRef& key, ByteView value, UnixMs expire_at) {
  Shard& shard = shard_of(key);
  const bool expires = expire_at != kNoExpiry;
  Record* old = record(key);
  if (old == nullptr || !fits_in_place(*old, expires, value.size())) {
    // An expired record is gone by now, and its tags with it.
    old = &shard.put(keyspace_.physical(key.db), keyspace_.hash_in(key), key.bytes, {expires, false},
                     value.size(), keyspace_.eviction());
  } else {
    old->set_value_size(value.size());
    shard.touch(*old, keyspace_.eviction());
  }
  std::ranges::copy(value, old->value_data());
  if (old->layout().expiry) old->set_expire_at(expire_at);
  tell(key);
}

/// An overwrite reuses the allocation when the value fits and does not waste half of it.
bool Keyspace::Locked::fits_in_place(const Record& old, bool expires, std::size_t value_size) noexcept {
  if (old.layout().expiry != expires) return false;
  const std::size_t needed = Record::size_for(old.layout(), old.key().size(), value_size);
  const std::size_t allocated = Shard::bytes_of(old);
  return needed + 8 <= allocated && needed * 2 >= allocated;
}

std::span<char> Keyspace::Locked::edit(const KeyRef& key, std::size_t size) {
  Shard& shard = shard_of(key);
  Record* found = record(key);
  if (found == nullptr) {
    put(key, Bytes(size, '\0'), kNoExpiry);
    found = record(key);
    return {found->value_data(), size};
  }
  const std::size_t old_size = found->value().size();
  Record& resized = shard.resize(*found, keyspace_.hash_in(key), size);
  if (size > old_size) std::memset(resized.value_data() + old_size, 0, size - old_size);
  tell(key);
  return {resized.value_data(), size};
}

void Keyspace::Locked::set_expiry(const KeyRef& key, UnixMs expire_at) {
  Record* found = record(key);
  if (found == nullptr) return;
  if (found->layout().expiry) {
    found->set_expire_at(expire_at);
    tell(key);
  } else if (expire_at != kNoExpiry) {
    put(key, Bytes(found->value()), expire_at);
  }
}

bool Keyspace::Locked::erase(const KeyRef& key) {
  Record* found = record(key);
  if (found == nullptr) return false;
  shard_of(key).erase(*found, keyspace_.hash_in(key));
  tell(key);
  return true;
}

TagSet Keyspace::Locked::tags(const KeyRef& key) {
  const Record* found = record(key);
  return found == nullptr || found->tags() == nullptr ? TagSet() : TagIndex::tags_of(*found->tags());
}

void Keyspace::Locked::set_tags(const KeyRef& key, const TagSet& tags) {
  Record* found = record(key);
  if (found != nullptr) keyspace_.shard_of(key.hash).set_tags(*found, keyspace_.hash_in(key), tags);
}

/// Both shards are locked: an invalidation that is not seen running has not passed either of them yet.
void Keyspace::Locked::carry_tags(const KeyRef& from, const KeyRef& to) {
  const TagSet carried = tags(from);
  if (!carried.empty() && keyspace_.invalidations_.cover(keyspace_.physical(from.db), carried))
    erase(to);
  else
    set_tags(to, carried);
}

std::size_t Keyspace::Locked::memory_usage(const KeyRef& key) {
  constexpr std::size_t kSlot = 13;  // a 10-byte table slot at the usual load
  const Record* found = record(key);
  return found == nullptr ? 0 : Shard::bytes_of(*found) + kSlot;
}

int Keyspace::Locked::frequency(const KeyRef& key) {
  const Record* found = record(key);
  return found == nullptr ? 0 : found->frequency();
}

}  // namespace larder
