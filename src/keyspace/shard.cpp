#include "keyspace/shard.h"

#include <algorithm>
#include <cstdlib>
#include <malloc.h>
#include <new>

namespace larder {
namespace {

void* allocate(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

/// Room for a string that has begun to grow: half as much again, at most 1 MiB, so that APPEND is amortised.
std::size_t with_slack(std::size_t size) noexcept {
  constexpr std::size_t kSmall = 256, kMost = 1 << 20;
  return size < kSmall ? size : size + std::min(size / 2, kMost);
}

}  // namespace

Shard::Shard(int databases, int shard_bits, std::atomic<std::uint64_t>& total_bytes, TrackedKeys& tracked)
    : shard_bits_(shard_bits),
      tables_(static_cast<std::size_t>(databases)),
      tags_(static_cast<std::size_t>(databases)),
      sweep_from_(static_cast<std::size_t>(databases)),
      volatile_(static_cast<std::size_t>(databases)),
      total_bytes_(total_bytes),
      tracked_(tracked) {}

Shard::~Shard() {
  Detached detached = detach_all();
  free_detached(detached);
}

std::size_t Shard::bytes_of(const Record& record) noexcept {
  return ::malloc_usable_size(const_cast<Record*>(&record)) + kAllocatorHeader;
}

void Shard::account(std::int64_t bytes) noexcept {
  used_.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
  total_bytes_.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
}

Record* Shard::find(int db, std::uint32_t hash, ByteView key) const noexcept {
  const RecordTable& table = tables_[static_cast<std::size_t>(db)];
  const std::size_t slot = table.find(hash, key);
  return slot == RecordTable::kNone ? nullptr : table.at(slot);
}

Record& Shard::put(int db, std::uint32_t hash, ByteView key, Record::Layout layout, std::size_t value_size,
                   Eviction eviction) {
  RecordTable& table = tables_[static_cast<std::size_t>(db)];
  const std::size_t slot = table.find(hash, key);
  if (slot != RecordTable::kNone) layout.tags = table.at(slot)->tags() != nullptr;
  const std::size_t size = Record::size_for(layout, key.size(), value_size);
  auto* fresh = Record::make(allocate(size), layout, db, key, value_size);
  volatile_[static_cast<std::size_t>(db)] += layout.expiry ? 1 : 0;

  if (slot != RecordTable::kNone) {
    replace(*table.at(slot), *fresh, slot);
    touch(*fresh, eviction);
    return *fresh;
  }
  const std::size_t fresh_bytes = bytes_of(*fresh);
  const std::size_t table_bytes = table.bytes();
  table.insert(hash, *fresh);
  enqueue(*fresh, hash, eviction);
  entries_.fetch_add(1, std::memory_order_relaxed);
  account(static_cast<std::int64_t>(fresh_bytes + table.bytes()) - static_cast<std::int64_t>(table_bytes));
  return *fresh;
}

/// Puts a fresh record in the place of the key's old one, which is freed; tags go over.
void Shard::replace(Record& old, Record& fresh, std::size_t slot) {
  const std::size_t old_bytes = bytes_of(old), fresh_bytes = bytes_of(fresh);
  fresh.bits_ |= old.bits_ & (Record::kFrequencyMask | Record::kInMain);
  queue_of(old).replace(old, fresh, old_bytes, fresh_bytes);
  tables_[old.db_].replace(slot, fresh);
  volatile_[old.db_] -= old.layout().expiry ? 1 : 0;
  if (fresh.layout().tags) {
    fresh.set_tags(old.tags());
    if (old.tags() != nullptr) TagIndex::moved(*old.tags(), fresh);
  }
  account(static_cast<std::int64_t>(fresh_bytes) - static_cast<std::int64_t>(old_bytes));
  std::free(&old);
}

void Shard::set_tags(Record& record, std::uint32_t hash, const TagSet& tags) {
  if (record.tags() != nullptr && TagIndex::are_tags_of(*record.tags(), tags)) return;
  untag(record);
  if (tags.empty()) return;
  Record* tagged = &record;
  if (!record.layout().tags) {
    const Record::Layout layout{record.layout().expiry, record.layout().stamp, true};
    const std::size_t size = Record::size_for(layout, record.key().size(), record.value().size());
    tagged = Record::make(allocate(size), layout, record.db(), record.key(), record.value().size());
    std::ranges::copy(record.value(), tagged->value_data());
    if (layout.expiry) tagged->set_expire_at(record.expire_at());
    if (layout.stamp) tagged->set_stamp(record.stamp());
    volatile_[record.db_] += layout.expiry ? 1 : 0;
    replace(record, *tagged, tables_[record.db_].find(hash, record));
  }
  TagIndex& index = tags_[tagged->db_];
  const std::size_t index_bytes = index.bytes();
  tagged->set_tags(index.add(*tagged, tags));
  account(static_cast<std::int64_t>(index.bytes()) - static_cast<std::int64_t>(index_bytes));
}

void Shard::untag(Record& record) noexcept {
  if (record.tags() == nullptr) return;
  TagIndex& index = tags_[record.db_];
  const std::size_t index_bytes = index.bytes();
  index.remove(record.tags());
  record.set_tags(nullptr);
  account(static_cast<std::int64_t>(index.bytes()) - static_cast<std::int64_t>(index_bytes));
}

void Shard::enqueue(Record& record, std::uint32_t hash, Eviction eviction) noexcept {
  const bool to_main = eviction != Eviction::s3fifo || ghost_.take(hash);
  record.set_queue(to_main ? Record::Queue::main : Record::Queue::small);
  queue_of(record).push_head(record, bytes_of(record));
}

Record& Shard::resize(Record& record, std::uint32_t hash, std::size_t value_size) {
  const std::size_t old_bytes = bytes_of(record);
  const std::size_t size = Record::size_for(record.layout(), record.key().size(), value_size);
  if (size + kAllocatorHeader <= old_bytes) {
    record.set_value_size(value_size);
    return record;
  }
  RecordTable& table = tables_[record.db_];
  const std::size_t slot = table.find(hash, record);
  void* moved = std::realloc(static_cast<void*>(&record), with_slack(size));
  if (moved == nullptr) throw std::bad_alloc();
  auto* fresh = static_cast<Record*>(moved);
  const std::size_t fresh_bytes = bytes_of(*fresh);
  fresh->set_value_size(value_size);
  table.replace(slot, *fresh);
  if (fresh->tags() != nullptr) TagIndex::moved(*fresh->tags(), *fresh);
  queue_of(*fresh).relink(*fresh);
  queue_of(*fresh).resize(old_bytes, fresh_bytes);
  account(static_cast<std::int64_t>(fresh_bytes) - static_cast<std::int64_t>(old_bytes));
  return *fresh;
}

void Shard::erase(Record& record, std::uint32_t hash) {
  untag(record);
  RecordTable& table = tables_[record.db_];
  const std::size_t bytes = bytes_of(record);
  const std::size_t table_bytes = table.bytes();
  table.erase(table.find(hash, record));
  queue_of(record).remove(record, bytes);
  volatile_[record.db_] -= record.layout().expiry ? 1 : 0;
  entries_.fetch_sub(1, std::memory_order_relaxed);
  account(static_cast<std::int64_t>(table.bytes()) - static_cast<std::int64_t>(table_bytes + bytes));
  std::free(&record);
}

void Shard::drop(Record& record, std::uint32_t hash) {
  if (!record.layout().stamp) tracked_.changed(record.key());
  erase(record, hash);
}

void Shard::touch(Record& record, Eviction eviction) noexcept {
  if (eviction != Eviction::lru) return record.count_hit();
  const std::size_t bytes = bytes_of(record);
  queue_of(record).remove(record, bytes);
  record.set_queue(Record::Queue::main);
  main_.push_head(record, bytes);
}

bool Shard::evict(Eviction eviction, FunctionRef<bool(const Record&)> is_void) {
  if (eviction == Eviction::s3fifo) {
    const std::size_t ghost_bytes = ghost_.bytes();
    ghost_.reserve(entries());
    account(static_cast<std::int64_t>(ghost_.bytes()) - static_cast<std::int64_t>(ghost_bytes));
  }
  // S3-FIFO: the small queue gives first while it holds more than a quarter of the bytes.
  while (small_.tail() != nullptr || main_.tail() != nullptr) {
    const bool from_small = small_.tail() != nullptr &&
                            (small_.bytes() * 4 > small_.bytes() + main_.bytes() || main_.tail() == nullptr);
    if (from_small ? evict_from_small(is_void) : evict_from_main(eviction, is_void)) return true;
  }
  return false;
}

/// Frees the oldest of the small queue, or promotes it to main when it was hit. True when one was freed.
bool Shard::evict_from_small(FunctionRef<bool(const Record&)> is_void) {
  Record& oldest = *small_.tail();
  const bool worthless = is_void(oldest);
  if (oldest.frequency() > 0 && !worthless) {
    const std::size_t bytes = bytes_of(oldest);
    small_.remove(oldest, bytes);
    oldest.set_queue(Record::Queue::main);
    oldest.forget_hits();
    main_.push_head(oldest, bytes);
    return false;
  }
  const std::uint32_t hash = hash_of(oldest);
  if (!worthless) ghost_.remember(hash);
  drop(oldest, hash);
  return true;
}

/// Frees the oldest of the main queue, or lets it go round again for one of its hits. True when one was
/// freed.
bool Shard::evict_from_main(Eviction eviction, FunctionRef<bool(const Record&)> is_void) {
  Record& oldest = *main_.tail();
  if (eviction == Eviction::s3fifo && oldest.frequency() > 0 && !is_void(oldest)) {
    const std::size_t bytes = bytes_of(oldest);
    main_.remove(oldest, bytes);
    --oldest.bits_;
    main_.push_head(oldest, bytes);
    return false;
  }
  drop(oldest, hash_of(oldest));
  return true;
}

void Shard::clear(int db) {
  RecordTable& table = tables_[static_cast<std::size_t>(db)];
  TagIndex& tags = tags_[static_cast<std::size_t>(db)];
  std::size_t freed = table.bytes() + tags.bytes();
  for (std::size_t slot = table.first_from(0); slot != RecordTable::kNone; slot = table.next(slot)) {
    Record& record = *table.at(slot);
    const std::size_t bytes = bytes_of(record);
    queue_of(record).remove(record, bytes);
    volatile_[record.db_] -= record.layout().expiry ? 1 : 0;
    freed += bytes;
    std::free(&record);
  }
  entries_.fetch_sub(table.size(), std::memory_order_relaxed);
  table = RecordTable();
  tags = TagIndex();
  account(-static_cast<std::int64_t>(freed));
}

Detached Shard::detach_all() {
  Detached detached{{small_.tail(), main_.tail()}, std::vector<TagIndex>(tags_.size())};
  std::swap(detached.tags, tags_);
  for (RecordTable& table : tables_) table = RecordTable();
  small_ = main_ = RecordQueue();
  std::ranges::fill(volatile_, 0);
  entries_.store(0, std::memory_order_relaxed);
  account(static_cast<std::int64_t>(ghost_.bytes()) - static_cast<std::int64_t>(used()));
  return detached;
}

void Shard::free_detached(Detached& detached) noexcept {
  for (Record* record : detached.tails)
    while (record != nullptr) {
      Record* const newer = record->previous_;
      std::free(record);
      record = newer;
    }
  detached.tails.clear();
  detached.tags.clear();
}

}  // namespace larder
