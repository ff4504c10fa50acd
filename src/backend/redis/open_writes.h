#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "keyspace/records.h"

namespace larder::redis {

/// The keys of the writes that a lane has sent and that are not answered, oldest first: they are void in L1
/// until the answer, and once more when it comes.
class WrittenKeys {
 public:
  void push(const KeyRef& key) {
    const Header header{key.hash, key.db, static_cast<std::uint32_t>(key.bytes.size())};
    bytes_.append(reinterpret_cast<const char*>(&header), sizeof header);
    bytes_.append(key.bytes);
  }

  /// Hands the oldest key to `visit` and forgets it.
  template <class Visit>
  void pop(Visit visit) {
    Header header;
    std::memcpy(&header, bytes_.data() + first_, sizeof header);
    visit(KeyRef(header.db, ByteView(bytes_).substr(first_ + sizeof header, header.size), header.hash));
    first_ += sizeof header + header.size;
    if (first_ == bytes_.size()) forget_all();
    if (first_ > kCompactAt && first_ > bytes_.size() / 2) compact();
  }

 private:
  struct Header {
    std::uint64_t hash;
    int db;
    std::uint32_t size;
  };
  static constexpr std::size_t kCompactAt = 64 * 1024;

  void forget_all() noexcept {
    bytes_.clear();
    first_ = 0;
  }
  void compact() {
    bytes_.erase(0, first_);
    first_ = 0;
  }

  Bytes bytes_;
  std::size_t first_ = 0;
};

/// Which keys have an unanswered write of this worker, roughly: a counting filter over key hashes.
///
/// A client that pipelines `SET k` and `GET k` must not be served an L1 entry that somebody else filled
/// between the two; a false positive costs a trip to Redis.
class OpenWrites {
 public:
  void add(std::uint64_t hash) noexcept { ++counts_[slot(hash)]; }
  void remove(std::uint64_t hash) noexcept { --counts_[slot(hash)]; }
  void add_all() noexcept { ++all_; }
  void remove_all() noexcept { --all_; }
  [[nodiscard]] bool may_touch(std::uint64_t hash) const noexcept {
    return all_ > 0 || counts_[slot(hash)] > 0;
  }

 private:
  static constexpr std::size_t kSlots = 4096;
  [[nodiscard]] static std::size_t slot(std::uint64_t hash) noexcept { return hash % kSlots; }

  std::array<std::uint32_t, kSlots> counts_{};
  std::uint32_t all_ = 0;
};

}  // namespace larder::redis
