#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/clock.h"
#include "value/type.h"

namespace larder {

inline constexpr std::size_t kAllocatorHeader = 8;  ///< of a glibc chunk in use

class TaggedKey;

/// What an L1 record rests on (keyspace.h, SourceId) and the source's generation when it was stored.
struct Stamp {
  std::uint32_t source;
  std::uint32_t generation;
};

/// One key with its value: a single allocation of header, optional fields, key and value.
///
///     links 16 | key size 4 | value size 4 | bits 1 | database 1 | [expiry 8] | [stamp 8] | [tags 8] | key |
///     value
///
/// Why one block: an entry of a 10-byte key and a 100-byte value takes 136 bytes, one 144-byte chunk of the
/// allocator; optional fields cost nothing where they are not used.
///
/// Life:   made and freed by its Shard only, which also owns the links.
/// Thread: guarded by the shard's mutex.
class Record {
 public:
  /// Which optional fields a record has; fixed when it is made.
  struct Layout {
    bool expiry;
    bool stamp;
    bool tags = false;
  };

  enum class Queue : std::uint8_t { small, main };

  /// Bytes needed for a record.
  [[nodiscard]] static std::size_t size_for(Layout layout, std::size_t key_size,
                                            std::size_t value_size) noexcept {
    return kHeaderSize + (layout.expiry ? 8 : 0) + (layout.stamp ? 8 : 0) + (layout.tags ? 8 : 0) + key_size +
           value_size;
  }

  /// Writes a fresh record into `memory`; the value's bytes are left to the caller.
  static Record* make(void* memory, Layout layout, int db, ByteView key, std::size_t value_size) noexcept {
    auto* record = static_cast<Record*>(memory);
    record->previous_ = record->next_ = nullptr;
    record->key_size_ = static_cast<std::uint32_t>(key.size());
    record->value_size_ = static_cast<std::uint32_t>(value_size);
    record->bits_ = static_cast<std::uint8_t>((layout.expiry ? kHasExpiry : 0) |
                                              (layout.stamp ? kHasStamp : 0) | (layout.tags ? kHasTags : 0));
    record->db_ = static_cast<std::uint8_t>(db);
    // An empty key may be a null pointer, which memcpy must not see.
    if (!key.empty()) std::memcpy(record->key_data(), key.data(), key.size());
    return record;
  }

  [[nodiscard]] Layout layout() const noexcept { return {has(kHasExpiry), has(kHasStamp), has(kHasTags)}; }
  [[nodiscard]] int db() const noexcept { return db_; }
  [[nodiscard]] ByteView key() const noexcept { return {key_data(), key_size_}; }
  [[nodiscard]] ByteView value() const noexcept { return {value_data(), value_size_}; }
  [[nodiscard]] char* value_data() noexcept { return key_data() + key_size_; }
  void set_value_size(std::size_t size) noexcept { value_size_ = static_cast<std::uint32_t>(size); }
  void set_db(int db) noexcept { db_ = static_cast<std::uint8_t>(db); }

  [[nodiscard]] Type type() const noexcept {
    return is_absent() ? Type::none : has(kAnswers) ? Type::answers : Type::string;
  }

  /// L1 only: the record says that the key does not exist.
  [[nodiscard]] bool is_absent() const noexcept { return has(kAbsent); }
  void mark_absent() noexcept { bits_ |= kAbsent; }

  /// L1 only: the value is a list of answers (answers.h).
  void mark_answers() noexcept { bits_ |= kAnswers; }

  [[nodiscard]] UnixMs expire_at() const noexcept {
    return has(kHasExpiry) ? load<UnixMs>(kHeaderSize) : kNoExpiry;
  }
  void set_expire_at(UnixMs when) noexcept { store(kHeaderSize, when); }
  [[nodiscard]] bool is_expired(UnixMs now_ms) const noexcept {
    return has(kHasExpiry) && load<UnixMs>(kHeaderSize) <= now_ms && load<UnixMs>(kHeaderSize) != kNoExpiry;
  }

  [[nodiscard]] Stamp stamp() const noexcept { return load<Stamp>(stamp_offset()); }
  void set_stamp(Stamp stamp) noexcept { store(stamp_offset(), stamp); }

  /// Its tags in the index of its shard (tag_index.h); null: it has none.
  [[nodiscard]] TaggedKey* tags() const noexcept {
    return has(kHasTags) ? load<TaggedKey*>(tags_offset()) : nullptr;
  }
  /// Only for a record whose layout has tags.
  void set_tags(TaggedKey* tags) noexcept { store(tags_offset(), tags); }

  /// Saturating 2-bit counter of hits, the only thing a hit may write.
  [[nodiscard]] int frequency() const noexcept { return bits_ & kFrequencyMask; }
  void count_hit() noexcept {
    if (frequency() < kFrequencyMask) ++bits_;
  }
  void forget_hits() noexcept { bits_ &= static_cast<std::uint8_t>(~kFrequencyMask); }

  [[nodiscard]] Queue queue() const noexcept { return has(kInMain) ? Queue::main : Queue::small; }
  void set_queue(Queue queue) noexcept {
    bits_ = static_cast<std::uint8_t>(queue == Queue::main ? bits_ | kInMain : bits_ & ~kInMain);
  }

 private:
  friend class RecordQueue;
  friend class Shard;

  static constexpr std::uint8_t kFrequencyMask = 0x03;
  static constexpr std::uint8_t kHasExpiry = 0x04;
  static constexpr std::uint8_t kHasStamp = 0x08;
  static constexpr std::uint8_t kAbsent = 0x10;
  static constexpr std::uint8_t kInMain = 0x20;
  static constexpr std::uint8_t kAnswers = 0x40;
  static constexpr std::uint8_t kHasTags = 0x80;
  static constexpr std::size_t kHeaderSize = 26;

  [[nodiscard]] bool has(std::uint8_t bit) const noexcept { return bits_ & bit; }
  [[nodiscard]] const char* bytes() const noexcept { return reinterpret_cast<const char*>(this); }
  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this); }
  [[nodiscard]] std::size_t stamp_offset() const noexcept { return kHeaderSize + (has(kHasExpiry) ? 8 : 0); }
  [[nodiscard]] std::size_t tags_offset() const noexcept { return stamp_offset() + (has(kHasStamp) ? 8 : 0); }
  [[nodiscard]] std::size_t key_offset() const noexcept { return tags_offset() + (has(kHasTags) ? 8 : 0); }
  [[nodiscard]] const char* key_data() const noexcept { return bytes() + key_offset(); }
  [[nodiscard]] char* key_data() noexcept { return bytes() + key_offset(); }
  [[nodiscard]] const char* value_data() const noexcept { return key_data() + key_size_; }

  template <class T>
  [[nodiscard]] T load(std::size_t offset) const noexcept {
    T value;
    std::memcpy(&value, bytes() + offset, sizeof value);
    return value;
  }
  template <class T>
  void store(std::size_t offset, const T& value) noexcept {
    std::memcpy(bytes() + offset, &value, sizeof value);
  }

  Record* previous_;
  Record* next_;
  std::uint32_t key_size_;
  std::uint32_t value_size_;
  std::uint8_t bits_;
  std::uint8_t db_;
};

}  // namespace larder
