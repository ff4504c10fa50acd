#pragma once

#include <unordered_map>
#include <vector>

#include "backend/backend.h"

namespace larder::memory {

/// What the clients of a worker have under WATCH.
///
/// Invariant: a caller is known here exactly while `holds.watching`. A key of that name in another database
/// counts too: TrackedKeys knows names only.
/// Thread:    one worker.
class Watches {
 public:
  explicit Watches(Keyspace& keyspace) : keyspace_(keyspace) {}

  /// WATCH.
  void add(const Request& request);
  void drop(Caller& caller);

  /// Appends the keys that the caller watches. Life: until they are dropped.
  void append_keys(const Caller& caller, std::vector<KeyRef>& keys) const;

  /// Whether one of them has changed. Their shards are locked by `records`.
  [[nodiscard]] bool is_touched(const Caller& caller, Keyspace::Locked& records) const;

 private:
  struct Key {
    int db;
    Bytes bytes;
  };
  struct Watch {
    TrackedKeys::Touched touched = std::make_shared<std::atomic<bool>>(false);
    std::vector<Key> keys;
  };

  Keyspace& keyspace_;
  std::unordered_map<const Caller*, Watch> by_caller_;
};

}  // namespace larder::memory
