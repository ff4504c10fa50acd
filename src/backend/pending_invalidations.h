#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "value/tag.h"

namespace larder {

/// Invalidations that could not be completed, or that nobody waits for: repeated until they succeed.
///
/// Invariant: none is lost while the process lives.
/// Thread:    any.
class PendingInvalidations {
 public:
  struct Entry {
    int db;
    TagQuery query;
    int times = 1;  ///< how often it was asked for
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  void add(Entry entry) {
    const std::lock_guard lock(mutex_);
    for (Entry& known : entries_)
      if (known.db == entry.db && known.query == entry.query) {
        ++known.times;
        return;
      }
    entries_.push_back(std::move(entry));
  }

  /// The next one to try; it stays until it is removed.
  [[nodiscard]] std::optional<Entry> first() const {
    const std::lock_guard lock(mutex_);
    return entries_.empty() ? std::nullopt : std::optional(entries_.front());
  }

  /// It has succeeded; unless it was asked for again meanwhile, it is done.
  void remove(const Entry& entry) {
    const std::lock_guard lock(mutex_);
    std::erase(entries_, entry);
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // guarded by mutex_
};

}  // namespace larder
