#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/counter.h"
#include "io/transport.h"

namespace larder {

struct OutputBounds;

/// The replies that may leave, and how much of what a client asks for may pile up while it does not read.
///
/// Thread: one session; no locking.
class Output {
 public:
  /// Where replies are appended. Life: as long as this; what is in it moves with send().
  [[nodiscard]] Bytes& bytes() noexcept { return bytes_; }

  /// It is empty and too small for a batch of replies: another buffer may take its place.
  [[nodiscard]] bool wants_buffer() const noexcept {
    return bytes_.capacity() < kLeastCapacity && bytes_.empty();
  }

  [[nodiscard]] std::size_t unsent() const noexcept { return bytes_.size() - sent_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return bytes_.capacity(); }

  /// Sends as much as the socket takes, and counts it.
  enum class Sent : std::uint8_t {
    all,     ///< nothing is left
    some,    ///< the rest when there is room again
    broken,  ///< the connection
  };
  [[nodiscard]] Sent send(Transport& transport, Counter& sent_bytes);

  /// Whether the next request may be run while `pending` of those before it are under way: a client that does
  /// not read is not read from, its next requests wait in its socket.
  [[nodiscard]] bool has_room(std::size_t pending) const noexcept {
    return unsent() <= kMaxUnsent && pending < most_pending_;
  }

  /// A reply that was waited for has come, of that size.
  void adapt_most_pending(std::size_t reply_bytes) noexcept;

  /// Above the hard bound, or above the soft one for too long. To be asked now and then.
  [[nodiscard]] bool exceeds(const OutputBounds& bounds, std::int64_t now_us) noexcept;
  [[nodiscard]] bool exceeds_hard(const OutputBounds& bounds) const noexcept;

 private:
  static constexpr std::size_t kLeastCapacity = 16 * 1024;
  static constexpr std::size_t kMaxUnsent = 1 << 20;

  void drop_sent_half();

  Bytes bytes_;
  std::size_t sent_ = 0;                 ///< of bytes_
  std::size_t most_pending_ = 32;        ///< requests in flight at once; follows the size of their replies
  std::int64_t over_soft_since_us_ = 0;  ///< what is unsent exceeds the soft bound; 0 = it does not
};

}  // namespace larder
