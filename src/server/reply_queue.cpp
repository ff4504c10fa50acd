#include "server/reply_queue.h"

#include <algorithm>
#include <utility>

namespace larder {

Bytes& ReplyQueue::tail() {
  if (size_ == 0) return out_;
  Place& last = at(size_ - 1);
  // A finished reply that is to be discarded takes nothing with it.
  return last.done && !last.discard ? last.bytes : push({.done = true}).bytes;
}

Ticket ReplyQueue::defer(Place place) {
  ++waiting_;
  // tail() may have opened a place for a reply that then turned out to wait: use that one.
  if (size_ > 0 && at(size_ - 1).done && !at(size_ - 1).discard && at(size_ - 1).bytes.empty())
    at(size_ - 1) = std::move(place);
  else
    push(std::move(place));
  return head_ + size_ - 1;
}

Bytes& ReplyQueue::buffer(Ticket ticket) noexcept {
  Place& place = at(ticket - head_);
  return ticket == head_ && !place.discard ? out_ : place.bytes;
}

Bytes& ReplyQueue::bytes(Ticket ticket) {
  Bytes& target = buffer(ticket);
  at(ticket - head_).start = target.size();
  return target;
}

ByteView ReplyQueue::reply(Ticket ticket) noexcept {
  const ByteView all = buffer(ticket);
  return all.substr(std::min(at(ticket - head_).start, all.size()));
}

void ReplyQueue::finish(Ticket ticket) {
  at(ticket - head_).done = true;
  --waiting_;
  while (size_ > 0 && at(0).done) {
    release_head();
    // The new head writes to `out` from now on: what it has gathered goes there first.
    if (size_ > 0 && !at(0).discard) {
      out_.append(at(0).bytes);
      at(0).bytes = Bytes();
    }
  }
}

void ReplyQueue::release_head() {
  at(0) = Place();
  first_ = (first_ + 1) & (ring_.size() - 1);
  --size_;
  ++head_;
  constexpr std::size_t kKeep = 64;
  if (size_ == 0 && ring_.size() > kKeep) {
    std::vector<Place>().swap(ring_);
    first_ = 0;
  }
}

ReplyQueue::Place& ReplyQueue::push(Place place) {
  if (size_ == ring_.size()) grow();
  Place& last = at(size_++);
  last = std::move(place);
  return last;
}

void ReplyQueue::grow() {
  std::vector<Place> larger(ring_.empty() ? 4 : ring_.size() * 2);
  for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(at(i));
  ring_.swap(larger);
  first_ = 0;
}

}  // namespace larder
