#include "server/output.h"

#include <algorithm>
#include <cerrno>

#include "server/server.h"

namespace larder {
namespace {

constexpr std::size_t kMaxPending = 256;
constexpr std::size_t kMinPending = 4;
constexpr std::size_t kLargeReply = 64 * 1024;

}  // namespace

Output::Sent Output::send(Transport& transport, Counter& sent_bytes) {
  while (sent_ < bytes_.size()) {
    const ssize_t count = transport.send(ByteView(bytes_).substr(sent_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      drop_sent_half();
      return Sent::some;
    }
    if (count < 0) return Sent::broken;
    sent_ += static_cast<std::size_t>(count);
    sent_bytes.add(static_cast<std::uint64_t>(count));
  }
  bytes_.clear();
  sent_ = 0;
  return Sent::all;
}

/// A slow reader may never take everything: what it has taken must not pile up before what it has not.
void Output::drop_sent_half() {
  if (sent_ < bytes_.size() / 2) return;
  bytes_.erase(0, sent_);
  sent_ = 0;
}

/// All pending replies may arrive before the client reads one: while they are large few are asked for ahead.
void Output::adapt_most_pending(std::size_t reply_bytes) noexcept {
  most_pending_ = reply_bytes > kLargeReply ? std::max(most_pending_ / 2, kMinPending)
                                            : std::min(most_pending_ + 1, kMaxPending);
}

bool Output::exceeds_hard(const OutputBounds& bounds) const noexcept {
  const std::uint64_t hard = bounds.hard_bytes;
  return hard > 0 && unsent() > hard;
}

bool Output::exceeds(const OutputBounds& bounds, std::int64_t now_us) noexcept {
  if (exceeds_hard(bounds)) return true;
  const std::uint64_t soft = bounds.soft_bytes;
  if (soft == 0 || unsent() <= soft) {
    over_soft_since_us_ = 0;
    return false;
  }
  if (over_soft_since_us_ == 0) over_soft_since_us_ = now_us;
  return now_us - over_soft_since_us_ > bounds.soft_s * 1'000'000;
}

}  // namespace larder
