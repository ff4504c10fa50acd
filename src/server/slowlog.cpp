#include "server/slowlog.h"

#include <algorithm>

namespace larder {

void Slowlog::add(Entry entry, std::size_t capacity) {
  const std::lock_guard lock(mutex_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  while (entries_.size() > capacity) entries_.pop_back();
}

std::vector<Slowlog::Entry> Slowlog::newest(std::size_t count) const {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = std::min(count, entries_.size());
  return {entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(taken)};
}

std::size_t Slowlog::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void Slowlog::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace larder
