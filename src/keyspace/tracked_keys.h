#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"

namespace larder {

/// A client that keeps what it has read (CLIENT TRACKING); what the number says is known to the audience.
/// Shape: 0 is nobody.
using ReaderId = std::uint64_t;

/// Who has read which key and is to be told when it changes: Redis' tracking table.
///
/// Also who has it under WATCH, and is touched by a change.
///
/// A key is told of once: its readers are forgotten with it. Too much may be told, never too little, if a
/// reader is noted before it reads, and whoever changes a key looks here after the change can be seen.
///
/// Thread: any; a mutex per stripe.
class TrackedKeys {
 public:
  /// Passes on what there is to tell. Thread: any, also under the lock of a shard: it must not wait.
  class Audience {
   public:
    /// These have read the key.
    virtual void tell(std::span<const ReaderId> readers, ByteView key) = 0;

    /// All that cache anything: they shall forget everything.
    virtual void tell_all() = 0;

    /// Somebody wants to know of every change; `author` made this one and need not hear of it (NOLOOP).
    virtual void broadcast(ByteView key, ReaderId author) = 0;

   protected:
    ~Audience() = default;
  };

  /// Before the first reader comes; the audience outlives the last one.
  void set_audience(Audience* audience) noexcept { audience_ = audience; }

  // --- readers ---
  enum class Mode : std::uint8_t {
    reads,  ///< is told of the keys that add() names
    all,    ///< hears of every change: Audience::broadcast()
  };
  void join(Mode mode) noexcept;
  void leave(Mode mode) noexcept;

  /// There are clients of Mode::all. Whoever sees none is seen by those that come: join() is ordered with it.
  [[nodiscard]] bool anyone_wants_all() const noexcept { return broadcasting_.load() > 0; }

  void add(ByteView key, ReaderId reader);

  /// The key, which has readers, is gone at that time even if nobody changes it: what is behind does not
  /// tell.
  void expires(ByteView key, UnixMs at);

  // --- WATCH ---
  /// True once a key that is watched with it has changed, or may have.
  using Touched = std::shared_ptr<std::atomic<bool>>;
  void watch(ByteView key, const Touched& touched);

  /// For each call of watch() one of these.
  void unwatch(ByteView key, const Touched& touched);

  // --- changes ---

  /// False: nobody is to be told of anything.
  [[nodiscard]] bool any() const noexcept { return audience_size_.load(std::memory_order_acquire) > 0; }

  /// The key has changed. `author` did it and does not want to hear of it (NOLOOP): it is forgotten unsaid.
  void changed(ByteView key, ReaderId author = 0) {
    if (any()) [[unlikely]]
      tell_of(key, author);
  }

  /// The same for clients of Mode::all only; for those who have begun with leave_broadcasts().
  void broadcast(ByteView key) {
    if (anyone_wants_all()) [[unlikely]]
      audience_->broadcast(key, 0);
  }

  /// changed() says nothing to clients of Mode::all: what is behind hears of every change and calls
  /// broadcast(). Before the first client comes.
  void leave_broadcasts() noexcept { broadcasts_changes_ = false; }

  /// Anything may have changed.
  void all_changed() {
    if (any()) [[unlikely]]
      tell_of_everything();
  }

  /// Tells of the keys whose time has come.
  void expire(UnixMs now_ms);

  /// More keys than that are told of though they have not changed; 0 is no bound.
  void set_most_keys(std::uint64_t most) noexcept { most_keys_ = most; }
  [[nodiscard]] std::uint64_t most_keys() const noexcept { return most_keys_; }

  [[nodiscard]] std::uint64_t clients() const noexcept {
    const std::uint64_t watches = watches_.load(), all = audience_size_.load();
    return all > watches ? all - watches : 0;  // one may have gone in between
  }
  [[nodiscard]] std::uint64_t keys() const noexcept { return keys_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t items() const noexcept { return items_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kStripes = 64;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(ByteView key) const noexcept { return hash_bytes(key); }
  };
  struct Readers {
    std::vector<ReaderId> ids;
    std::vector<Touched> watches;
    UnixMs expires_at = 0;  ///< 0: what is behind tells
  };
  using Table = std::unordered_map<Bytes, Readers, Hash, std::equal_to<>>;

  struct alignas(64) Stripe {
    std::mutex mutex;
    Table table;
    std::set<std::pair<UnixMs, ByteView>> expiring;  ///< views of the table's keys
  };

  [[nodiscard]] Stripe& stripe_of(ByteView key) noexcept { return stripes_[hash_bytes(key) >> 58]; }
  void tell_of(ByteView key, ReaderId author);
  void tell_of_everything();
  void forget_all();
  void evict();
  [[nodiscard]] Table::node_type take(Stripe& stripe, Table::const_iterator found);
  [[nodiscard]] Table::node_type take_any(Stripe& stripe);
  [[nodiscard]] Readers& readers_of(Stripe& stripe, ByteView key);
  void tell_readers(const Table::node_type& entry);
  void set_expiry(Stripe& stripe, Table::value_type& entry, UnixMs at);

  Audience* audience_ = nullptr;
  bool broadcasts_changes_ = true;
  std::atomic<std::uint64_t> audience_size_{0};  ///< clients and watches
  std::atomic<std::uint64_t> watches_{0};
  std::atomic<std::uint64_t> broadcasting_{0};
  std::atomic<std::uint64_t> keys_{0}, items_{0}, expiring_{0};
  std::atomic<std::uint64_t> most_keys_{1'000'000};
  std::atomic<std::uint64_t> evict_position_{0};
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace larder
