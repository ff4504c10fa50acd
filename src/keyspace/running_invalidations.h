#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "value/tag.h"

namespace larder {

/// The invalidations that are under way, shard after shard.
///
/// Why: a record that is renamed from a shard that is still to come to one that is through would escape.
/// Thread: any.
class RunningInvalidations {
 public:
  /// One of them, for as long as it lives. Life: borrows the query.
  class Entry {
   public:
    Entry(RunningInvalidations& all, int physical_db, const TagQuery& query)
        : all_(all), physical_db_(physical_db), query_(query) {
      const std::lock_guard lock(all_.mutex_);
      all_.entries_.push_back(this);
    }
    ~Entry() {
      const std::lock_guard lock(all_.mutex_);
      std::erase(all_.entries_, this);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class RunningInvalidations;
    RunningInvalidations& all_;
    const int physical_db_;
    const TagQuery& query_;
  };

  /// Whether one of them means a record of that database with these tags.
  [[nodiscard]] bool cover(int physical_db, const TagSet& tags) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(entries_, [&](const Entry* entry) {
      return entry->physical_db_ == physical_db && entry->query_.matches(tags);
    });
  }

 private:
  std::mutex mutex_;
  std::vector<const Entry*> entries_;  // guarded by mutex_
};

}  // namespace larder
