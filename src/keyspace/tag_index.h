#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "value/tag.h"

namespace larder {

class Record;
class TaggedKey;

/// Which records of one database in one shard carry which tags.
///
/// A tag's name leads to the records that carry it, and a record to its tags; the names are in order of their
/// bytes, so that what lies below a tag is one range of them.
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

  /// The records that a query means, each once, in no order. Life: until the next change of the shard.
  [[nodiscard]] std::vector<Record*> find(const TagQuery& query) const;

  /// Bytes of heap.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return tags_.empty(); }

 private:
  friend class TaggedKey;
  using Tags = std::map<Bytes, std::vector<TaggedKey*>, std::less<>>;
  using Tag = Tags::value_type;

  template <class Visit>
  void for_each_tag(const Bytes& wanted, TagQuery::Reach reach, Visit visit) const;
  Tag& tag_named(const Bytes& name);
  void take_out(Tag& tag, std::uint32_t position) noexcept;

  Tags tags_;
  std::size_t bytes_ = 0;
};

}  // namespace larder
