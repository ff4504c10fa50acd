#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace larder {

/// Remembers the fingerprints of keys that were evicted lately: one that comes back skips the small queue
/// (S3-FIFO).
///
/// A direct-mapped table: a new fingerprint overwrites the old one in its slot, so a memory lasts for about
/// as many evictions as there are slots. A false "yes" only admits a key a little too early.
///
/// Thread: guarded by the shard's mutex.
class Ghost {
 public:
  /// Keeps room for `entries` fingerprints; growing forgets the old ones.
  void reserve(std::size_t entries) {
    const std::size_t wanted = std::bit_ceil(entries + 1);
    if (wanted > slots_.size()) slots_.assign(wanted, 0);
  }

  void remember(std::uint32_t hash) noexcept {
    if (!slots_.empty()) slots_[slot(hash)] = fingerprint(hash);
  }

  /// True once per memory: it is taken back.
  [[nodiscard]] bool take(std::uint32_t hash) noexcept {
    if (slots_.empty() || slots_[slot(hash)] != fingerprint(hash)) return false;
    slots_[slot(hash)] = 0;
    return true;
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return slots_.capacity() * sizeof(std::uint32_t); }

 private:
  [[nodiscard]] std::size_t slot(std::uint32_t hash) const noexcept {
    return (hash * 0x9e3779b1u) & (slots_.size() - 1);
  }
  [[nodiscard]] static std::uint32_t fingerprint(std::uint32_t hash) noexcept { return hash | 1; }

  std::vector<std::uint32_t> slots_;
};

}  // namespace larder
