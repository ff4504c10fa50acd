#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace larder {

/// The keys that one worker is asked for most, lately.
///
/// A sample of the requests is counted by the Space-Saving algorithm: a table of fixed size in which a new
/// key takes the place of the least asked one and inherits its count. Counts fade, so that yesterday's hot
/// keys go.
///
/// Thread: one worker. Source: Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k
/// elements in data streams, 2005.
class HotKeys {
 public:
  struct Entry {
    int db;
    Bytes key;
    double requests_per_second;
  };

  /// True for the requests whose key is to be counted: one in kOneIn.
  [[nodiscard]] bool wants_sample() noexcept { return --until_sample_ == 0; }

  /// Counts a sampled request; an empty key only goes on to the next sample.
  void add(int db, ByteView key);

  /// Makes all counts fade; once a second.
  void fade() noexcept;

  /// In no order.
  [[nodiscard]] std::vector<Entry> entries() const;

 private:
  static constexpr unsigned kOneIn = 64;
  static constexpr std::size_t kKept = 128;
  static constexpr std::size_t kLongestKey = 1024;  ///< of a longer one only so much is kept

  struct Counted {
    std::uint64_t hash;
    int db;
    Bytes key;
    double count;
  };

  unsigned until_sample_ = kOneIn;
  std::vector<Counted> table_;
};

}  // namespace larder
