#pragma once

#include <algorithm>
#include <memory>
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
    int times = 1;                       ///< how often it was asked for
    std::shared_ptr<const void> hold{};  ///< kept until it is done
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  /// Of the same one that waits already the hold is kept, if it has one: it is for both then.
  void add(Entry entry) {
    const std::lock_guard lock(mutex_);
    for (Waiting& known : waiting_)
      if (known.entry.db == entry.db && known.entry.query == entry.query) {
        ++known.entry.times;
        if (!known.entry.hold) known.entry.hold = std::move(entry.hold);
        return;
      }
    waiting_.push_back({std::move(entry)});
  }

  /// The next one to try; it stays until it is removed.
  [[nodiscard]] std::optional<Entry> first() const {
    const std::lock_guard lock(mutex_);
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.front().entry);
  }

  /// The same for one who tries several at a time: it is not given to another until it is given back.
  [[nodiscard]] std::optional<Entry> take() {
    const std::lock_guard lock(mutex_);
    const auto next = std::ranges::find(waiting_, false, &Waiting::is_taken);
    if (next == waiting_.end()) return std::nullopt;
    next->is_taken = true;
    return next->entry;
  }

  /// It has failed: the others are tried before it.
  void give_back(const Entry& entry) {
    const std::lock_guard lock(mutex_);
    const auto found = find(entry);
    if (found == waiting_.end()) return;
    found->is_taken = false;
    std::rotate(found, found + 1, waiting_.end());
  }

  /// It has succeeded; unless it was asked for again meanwhile, it is done.
  void remove(const Entry& entry) {
    const std::lock_guard lock(mutex_);
    const auto found = find(entry);
    if (found == waiting_.end()) return;
    found->is_taken = false;
    if (found->entry.times == entry.times) waiting_.erase(found);
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  struct Waiting {
    Entry entry;
    bool is_taken = false;
  };

  /// As it was or as it has become since.
  [[nodiscard]] std::vector<Waiting>::iterator find(const Entry& entry) {
    return std::ranges::find_if(waiting_, [&entry](const Waiting& known) {
      return known.entry.db == entry.db && known.entry.query == entry.query;
    });
  }

  mutable std::mutex mutex_;
  std::vector<Waiting> waiting_;  // guarded by mutex_
};

}  // namespace larder
