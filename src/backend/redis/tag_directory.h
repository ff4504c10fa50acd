#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/redis/hash_slot.h"
#include "base/bytes.h"

namespace larder::redis {

/// Whether a page, as Redis gives it, has the slot.
[[nodiscard]] inline bool has_bit(ByteView page, std::uint16_t slot) noexcept {
  const std::size_t byte = slot / 8;
  return byte < page.size() && (static_cast<unsigned char>(page[byte]) >> (7 - slot % 8) & 1) != 0;
}

/// Which hash slots of a cluster may have keys under a tag, as far as this process knows.
///
/// In Redis it is a book of 16384 pages. A page is a bitmap of slots, `prefix{slot name}:d` in the slot of
/// the page's own number; a tag is on the page that its first segment hashes to, and on that of its first
/// two. What shares a page is visited by mistake and never missed, and the book has a bound: 32 MB, of which
/// there is what is used. One more page, `prefix{…}:s`, has every slot with any bookkeeping.
///
/// Why no slot is missed:
/// - A slot's bit is set, and Redis has said so, before the first write under the tag goes to the slot.
/// Whoever
///   reads the page after that write was answered finds the slot, whatever became of the Larder that wrote.
/// - Bits are never cleared, so nobody relies on one that somebody else takes back; only a flush does that.
/// - What can lose a bit that Redis has confirmed: a flush, a master that fails or comes back without its
///   last writes. Whoever hears of that forgets what it knows (the next writes set their bits anew), and does
///   not trust the book: sweeps visit all slots, until every slot's own list of tags was compared with the
///   book. So it is at the start, as nobody may have been there to hear.
/// - A write that was under way when that happened relied on the old book: when it is answered the comparison
///   begins anew.
///
/// Thread: any.
class TagDirectory {
 public:
  using Page = std::uint16_t;
  static constexpr Page kEverything = kHashSlots;       ///< the page of all slots with bookkeeping
  static constexpr std::uint16_t kEverythingsSlot = 0;  ///< where it lies; it does not name that

  struct Entry {
    Page page;
    std::uint16_t slot;

    [[nodiscard]] std::uint32_t number() const noexcept { return std::uint32_t{page} << 14 | slot; }
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  ~TagDirectory();

  /// The page that has every slot with keys under the tag and what lies below it.
  [[nodiscard]] static Page page_of(ByteView tag) noexcept;

  /// What must be in the book before a key of the slot carries the tag.
  static void append_entries(ByteView tag, std::uint16_t slot, std::vector<Entry>& entries);

  [[nodiscard]] static std::string name(const std::string& prefix, Page page);

  [[nodiscard]] bool knows(Entry entry) const noexcept;

  /// Whether the slot had bookkeeping at any time, whatever was forgotten since: what asks this must not
  /// leave a slot out, and loses little by one too many.
  [[nodiscard]] bool was_used(std::uint16_t slot) const noexcept;

  /// Redis has the entry since a time at which the epoch was that.
  void learn(Entry entry, std::uint32_t epoch);

  /// Moves when all that was known is forgotten. Shape: never 0.
  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }

  /// What Redis had may be gone.
  void doubt();

  /// The same because of a master: what it was told last may be gone too.
  void lose_master() {
    losses_.fetch_add(1, std::memory_order_acq_rel);
    doubt();
  }
  [[nodiscard]] std::uint32_t losses() const noexcept { return losses_.load(std::memory_order_acquire); }

  /// The book must be compared (again) before it is trusted.
  void recheck() noexcept { wanted_.fetch_add(1, std::memory_order_acq_rel); }

  /// A comparison is about to begin; trust() takes this when it has gone well.
  [[nodiscard]] std::uint32_t begin_check() const noexcept { return wanted_.load(std::memory_order_acquire); }
  void trust(std::uint32_t begun) noexcept { checked_.store(begun, std::memory_order_release); }
  [[nodiscard]] bool is_trusted() const noexcept {
    return checked_.load(std::memory_order_acquire) == wanted_.load(std::memory_order_acquire);
  }

  /// Somebody would have liked to trust it.
  std::atomic<bool> missed{false};

 private:
  using Bits = std::array<std::atomic<std::uint64_t>, kHashSlots / 64>;

  std::array<std::atomic<Bits*>, kHashSlots + 1> pages_{};  ///< null until used
  Bits used_{};                                             ///< by slot, for good
  std::mutex mutex_;                                        ///< of changes of pages_ and epoch_
  std::atomic<std::uint32_t> epoch_{1}, losses_{0};
  std::atomic<std::uint32_t> wanted_{1}, checked_{0};
};

}  // namespace larder::redis
