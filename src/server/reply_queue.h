#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/bytes.h"
#include "server/statistics.h"

namespace larder {

/// Keeps a client's replies in the order of its requests (P1).
///
/// A request that must wait takes a place (defer); replies behind it gather in places of their own and leave
/// when all before them have left. Without waiting requests there are no places at all: replies go straight
/// to `out`.
///
/// Invariant: the head place, if any, is unfinished; its bytes are written to `out` directly.
/// Thread:    one session; no locking.
class ReplyQueue {
 public:
  explicit ReplyQueue(Bytes& out) noexcept : out_(out) {}

  /// What is known of a deferred request besides its reply.
  struct Place {
    Bytes bytes = {};       ///< the reply, while it is not the head
    std::size_t start = 0;  ///< of the reply, in the buffer that bytes() gave
    Bytes request = {};     ///< the beginning of the request, for SLOWLOG; empty when not wanted
    CommandStatistics* statistics = nullptr;  ///< of its command; null: a place of immediate replies
    std::int64_t started_us = 0;
    Protocol protocol = Protocol::resp2;
    bool done = false;
    bool discard = false;  ///< CLIENT REPLY OFF or SKIP
  };

  /// Where an immediate reply is to be appended. Life: until the next call.
  [[nodiscard]] Bytes& tail();

  /// Takes the next place for a request that waits.
  [[nodiscard]] Ticket defer(Place place);

  /// Where the ticket's reply is to be appended. Life: until the next call.
  [[nodiscard]] Bytes& bytes(Ticket ticket);
  [[nodiscard]] Place& place(Ticket ticket) noexcept { return at(ticket - head_); }

  /// What has been appended since the last bytes(ticket).
  [[nodiscard]] ByteView reply(Ticket ticket) noexcept;

  /// Marks the reply complete and moves everything that may leave to `out`.
  void finish(Ticket ticket);

  /// False when it never had the place, or its reply has left.
  [[nodiscard]] bool holds(Ticket ticket) const noexcept { return ticket - head_ < size_; }

  /// The newest place; there is one.
  [[nodiscard]] Ticket last() const noexcept { return head_ + size_ - 1; }

  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  [[nodiscard]] Bytes& buffer(Ticket ticket) noexcept;
  [[nodiscard]] Place& at(std::size_t index) noexcept { return ring_[(first_ + index) & (ring_.size() - 1)]; }
  Place& push(Place place);
  void grow();
  void release_head();

  Bytes& out_;
  std::vector<Place> ring_;  ///< a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::size_t waiting_ = 0;
  Ticket head_ = 0;  ///< ticket of the first place
};

}  // namespace larder
