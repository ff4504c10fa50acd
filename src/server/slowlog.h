#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace larder {

/// The last commands that took long, newest first.
///
/// Thread: any; one mutex, taken only for slow commands.
class Slowlog {
 public:
  /// Where the time went; the sum is the duration.
  struct Split {
    std::int64_t l1_us = 0;        ///< answered by this process alone
    std::int64_t queue_us = 0;     ///< waited for others, for a connection, for the topology
    std::int64_t upstream_us = 0;  ///< the backend had it
  };

  struct Entry {
    std::uint64_t id = 0;
    std::int64_t at_seconds = 0;
    std::int64_t duration_us = 0;
    Split split = {};
    std::vector<std::string> argv = {};  ///< at most 32 arguments of 128 bytes, cut as Redis does
    std::string client_address = {};
    std::string client_name = {};
  };

  void add(Entry entry, std::size_t capacity);
  [[nodiscard]] std::vector<Entry> newest(std::size_t count) const;
  [[nodiscard]] std::size_t size() const;
  void clear();

 private:
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  std::uint64_t next_id_ = 0;
};

}  // namespace larder
