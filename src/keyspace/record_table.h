#pragma once

#include <cstdint>
#include <memory>

#include "keyspace/record.h"

namespace larder {

/// An index of records by hash: an array sorted by hash, with gaps.
///
/// A record's slot is at or right of its home, home = hash · capacity / 2^32, and slots are in hash order. So
/// one probe run serves a look-up, a SCAN cursor is simply a hash that outlives every growth, growing is one
/// sequential copy that touches no record, and deleting leaves no tombstones.
///
/// Slots are 10 bytes: 32 bits of hash, 48 bits of pointer. Load is 0.68 to 0.85.
///
/// Life:   borrows the records.
/// Thread: guarded by the shard's mutex.
class RecordTable {
 public:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  RecordTable() = default;
  RecordTable(RecordTable&& other) noexcept;
  RecordTable& operator=(RecordTable&& other) noexcept;

  /// Slot of the key, or kNone.
  [[nodiscard]] std::size_t find(std::uint32_t hash, ByteView key) const noexcept;

  /// Slot of this very record, which is in the table.
  [[nodiscard]] std::size_t find(std::uint32_t hash, const Record& record) const noexcept;

  /// Adds a record whose key is not in the table.
  void insert(std::uint32_t hash, Record& record);

  void erase(std::size_t slot);
  void replace(std::size_t slot, Record& record) noexcept;

  [[nodiscard]] Record* at(std::size_t slot) const noexcept { return load(slot).record; }
  [[nodiscard]] std::uint32_t hash_at(std::size_t slot) const noexcept { return load(slot).hash; }

  /// First used slot with a hash of at least `hash`, or kNone.
  [[nodiscard]] std::size_t first_from(std::uint32_t hash) const noexcept;

  /// First used slot right of `slot`, or kNone.
  [[nodiscard]] std::size_t next(std::size_t slot) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Bytes of heap.
  [[nodiscard]] std::size_t bytes() const noexcept { return slots_ ? bytes_for(capacity_) : 0; }

 private:
  struct Entry {
    std::uint32_t hash;
    Record* record;  ///< null: the slot is free
  };

  static constexpr std::size_t kSlotSize = 10;

  [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(hash) * capacity_) >> 32);
  }
  /// Slots right of the last home, for the run that ends there: no wrap-around.
  [[nodiscard]] static std::size_t tail_for(std::size_t capacity) noexcept {
    return capacity < 256 ? capacity : 256;
  }
  [[nodiscard]] std::size_t slot_count() const noexcept { return capacity_ + tail_for(capacity_); }
  [[nodiscard]] static std::size_t bytes_for(std::size_t capacity) noexcept {
    return (capacity + tail_for(capacity)) * kSlotSize;
  }

  [[nodiscard]] Entry load(std::size_t slot) const noexcept;
  void store(std::size_t slot, Entry entry) noexcept;
  [[nodiscard]] bool is_free(std::size_t slot) const noexcept { return load(slot).record == nullptr; }
  [[nodiscard]] bool try_insert(std::uint32_t hash, Record& record) noexcept;
  void rebuild(std::size_t capacity);

  std::unique_ptr<char[]> slots_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace larder
