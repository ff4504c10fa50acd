#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/hash.h"
#include "value/tag.h"

namespace larder {

class Record;
class TaggedKey;

/// Which records of one database in one shard carry which tags.
///
/// A tag's name leads to the records that carry it, and a record to its tags. Tags are a forest: each hangs
/// below the path that is one segment shorter, which may be nobody's tag, so that what lies below one is at
/// hand. To add or to remove a record takes a look-up of each of its tags, however many there are.
///
/// Life:   borrows the records, which hold the pointer to their TaggedKey; owns everything else.
/// Thread: guarded by the shard's mutex.
class TagIndex {
 public:
  TagIndex() = default;
  ~TagIndex();
  TagIndex(TagIndex&& other) noexcept;
  TagIndex& operator=(TagIndex&& other) noexcept;

  /// Gives a record that has none these tags, at least one.
  [[nodiscard]] TaggedKey* add(Record& record, const TagSet& tags);
  void remove(TaggedKey* key) noexcept;

  /// The record's allocation has moved.
  static void moved(TaggedKey& key, Record& record) noexcept;

  [[nodiscard]] static TagSet tags_of(const TaggedKey& key);
  [[nodiscard]] static bool are_tags_of(const TaggedKey& key, const TagSet& tags) noexcept;

  struct Found {
    std::vector<Record*> records;  ///< each once, in no order; until the next change of the shard
    bool is_all;
  };

  /// The records that a query means; of one that needs any of its tags, `most` at most.
  [[nodiscard]] Found find(const TagQuery& query,
                           std::size_t most = std::numeric_limits<std::size_t>::max()) const;

  /// Bytes of heap.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return tags_.empty(); }

 private:
  friend class TaggedKey;
  struct Tag;

  struct HashOfName {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(ByteView name) const noexcept { return hash_bytes(name); }
    std::size_t operator()(const Tag* tag) const noexcept;
  };
  struct SameName {
    using is_transparent = void;
    bool operator()(ByteView name, const Tag* tag) const noexcept;
    bool operator()(const Tag* tag, ByteView name) const noexcept { return (*this)(name, tag); }
    bool operator()(const Tag* one, const Tag* other) const noexcept { return one == other; }
  };

  /// As long as `visit` says so; false: it has stopped.
  template <class Visit>
  static bool for_each_below(const Tag& tag, const Visit& visit);
  Tag& tag_named(ByteView name);
  void forget_if_unused(Tag* tag) noexcept;

  boost::unordered_flat_set<Tag*, HashOfName, SameName> tags_;
  std::size_t bytes_ = 0;
};

}  // namespace larder
