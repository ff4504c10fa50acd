#pragma once

#include <cstdint>

#include "keyspace/record.h"

namespace larder {

/// An intrusive FIFO of records: newest at the head, next to be evicted at the tail.
///
/// Life:   borrows the records; a record is in at most one queue.
/// Thread: guarded by the shard's mutex.
class RecordQueue {
 public:
  [[nodiscard]] Record* tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

  void push_head(Record& record, std::size_t bytes) noexcept {
    record.previous_ = nullptr;
    record.next_ = head_;
    (head_ != nullptr ? head_->previous_ : tail_) = &record;
    head_ = &record;
    bytes_ += bytes;
  }

  void remove(Record& record, std::size_t bytes) noexcept {
    (record.previous_ != nullptr ? record.previous_->next_ : head_) = record.next_;
    (record.next_ != nullptr ? record.next_->previous_ : tail_) = record.previous_;
    bytes_ -= bytes;
  }

  /// Puts `fresh` where `old` stood: an overwritten key keeps its age.
  void replace(Record& old, Record& fresh, std::size_t old_bytes, std::size_t fresh_bytes) noexcept {
    fresh.previous_ = old.previous_;
    fresh.next_ = old.next_;
    relink(fresh);
    bytes_ += fresh_bytes - old_bytes;
  }

  /// Repairs the neighbours of a record whose allocation has moved.
  void relink(Record& record) noexcept {
    (record.previous_ != nullptr ? record.previous_->next_ : head_) = &record;
    (record.next_ != nullptr ? record.next_->previous_ : tail_) = &record;
  }

  void resize(std::size_t old_bytes, std::size_t fresh_bytes) noexcept { bytes_ += fresh_bytes - old_bytes; }

 private:
  Record* head_ = nullptr;
  Record* tail_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace larder
