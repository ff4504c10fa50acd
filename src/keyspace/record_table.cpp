#include "keyspace/record_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace larder {

static_assert(std::endian::native == std::endian::little,
              "a slot's pointer is read as the upper 48 bits of a word");

namespace {
constexpr std::size_t kSmallest = 8;
}

RecordTable::RecordTable(RecordTable&& other) noexcept {
  *this = std::move(other);
}

RecordTable& RecordTable::operator=(RecordTable&& other) noexcept {
  slots_ = std::move(other.slots_);
  capacity_ = std::exchange(other.capacity_, 0);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

RecordTable::Entry RecordTable::load(std::size_t slot) const noexcept {
  const char* p = slots_.get() + slot * kSlotSize;
  Entry entry;
  std::uint64_t word;
  std::memcpy(&entry.hash, p, sizeof entry.hash);
  std::memcpy(&word, p + 2, sizeof word);
  entry.record = reinterpret_cast<Record*>(word >> 16);
  return entry;
}

void RecordTable::store(std::size_t slot, Entry entry) noexcept {
  char* p = slots_.get() + slot * kSlotSize;
  const auto pointer = reinterpret_cast<std::uint64_t>(entry.record);
  std::memcpy(p, &entry.hash, sizeof entry.hash);
  std::memcpy(p + 4, &pointer, 6);
}

std::size_t RecordTable::find(std::uint32_t hash, ByteView key) const noexcept {
  if (size_ == 0) return kNone;
  for (std::size_t slot = home(hash);; ++slot) {
    const Entry entry = load(slot);
    if (entry.record == nullptr || entry.hash > hash) return kNone;
    if (entry.hash == hash && entry.record->key() == key) return slot;
  }
}

std::size_t RecordTable::find(std::uint32_t hash, const Record& record) const noexcept {
  std::size_t slot = home(hash);
  while (load(slot).record != &record) ++slot;
  return slot;
}

void RecordTable::insert(std::uint32_t hash, Record& record) {
  if ((size_ + 1) * 100 > capacity_ * 85) rebuild(std::max(kSmallest, capacity_ + capacity_ / 4 + 1));
  while (!try_insert(hash, record)) rebuild(capacity_ + capacity_ / 4 + 1);
  ++size_;
}

/// False when the run of used slots reaches the end of the array.
bool RecordTable::try_insert(std::uint32_t hash, Record& record) noexcept {
  const std::size_t last = slot_count() - 1;  // always free: it ends every run
  std::size_t slot = home(hash);
  while (!is_free(slot) && load(slot).hash <= hash) ++slot;
  std::size_t gap = slot;
  while (gap < last && !is_free(gap)) ++gap;
  if (gap >= last) return false;
  char* const p = slots_.get() + slot * kSlotSize;
  std::memmove(p + kSlotSize, p, (gap - slot) * kSlotSize);
  store(slot, {hash, &record});
  return true;
}

void RecordTable::erase(std::size_t slot) {
  // Records right of the hole move back until one is at its home.
  std::size_t end = slot + 1;
  while (!is_free(end) && home(load(end).hash) < end) ++end;
  char* const p = slots_.get() + slot * kSlotSize;
  std::memmove(p, p + kSlotSize, (end - slot - 1) * kSlotSize);
  store(end - 1, {0, nullptr});
  --size_;
  if (capacity_ > 64 && size_ * 4 < capacity_) rebuild(size_ + size_ / 2 + kSmallest);
}

void RecordTable::replace(std::size_t slot, Record& record) noexcept {
  store(slot, {hash_at(slot), &record});
}

std::size_t RecordTable::first_from(std::uint32_t hash) const noexcept {
  if (size_ == 0) return kNone;
  for (std::size_t slot = home(hash); slot < slot_count(); ++slot) {
    const Entry entry = load(slot);
    if (entry.record != nullptr && entry.hash >= hash) return slot;
  }
  return kNone;
}

std::size_t RecordTable::next(std::size_t slot) const noexcept {
  while (++slot < slot_count())
    if (!is_free(slot)) return slot;
  return kNone;
}

void RecordTable::rebuild(std::size_t capacity) {
  RecordTable fresh;
  for (bool placed = false; !placed; capacity += capacity / 4 + 1) {
    fresh.capacity_ = capacity;
    fresh.slots_ = std::make_unique<char[]>(fresh.bytes_for(capacity));
    std::size_t free_from = 0;
    placed = true;
    for (std::size_t slot = size_ > 0 ? first_from(0) : kNone; slot != kNone && placed; slot = next(slot)) {
      const Entry entry = load(slot);
      const std::size_t target = std::max(fresh.home(entry.hash), free_from);
      placed = target + 1 < fresh.slot_count();
      if (placed) fresh.store(target, entry);
      free_from = target + 1;
    }
  }
  fresh.size_ = size_;
  *this = std::move(fresh);
}

}  // namespace larder
