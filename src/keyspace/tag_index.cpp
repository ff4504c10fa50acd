#include "keyspace/tag_index.h"

#include <algorithm>
#include <cstdlib>
#include <malloc.h>
#include <new>
#include <utility>

#include "keyspace/record.h"

namespace larder {

/// The tags of one record: a single allocation.
class TaggedKey {
 public:
  /// One of its tags, and where in the tag's list the key stands.
  struct Link {
    TagIndex::Tag* tag;
    std::uint32_t position;
  };

  static TaggedKey* make(Record& record, std::size_t count) {
    void* memory = std::malloc(sizeof(TaggedKey) + count * sizeof(Link));
    if (memory == nullptr) throw std::bad_alloc();
    return new (memory) TaggedKey{&record, static_cast<std::uint32_t>(count)};
  }
  static void free(TaggedKey* key) noexcept { std::free(key); }

  [[nodiscard]] std::span<Link> links() noexcept { return {reinterpret_cast<Link*>(this + 1), count}; }
  [[nodiscard]] std::span<const Link> links() const noexcept { return const_cast<TaggedKey*>(this)->links(); }
  [[nodiscard]] Link& link_to(const TagIndex::Tag& tag) noexcept {
    return *std::ranges::find(links(), &tag, &Link::tag);
  }

  Record* record;
  std::uint32_t count;
};

namespace {

constexpr std::size_t kTreeNode = 32;  // of std::map: colour and three pointers

std::size_t bytes_of(const TaggedKey* key) noexcept {
  return ::malloc_usable_size(const_cast<TaggedKey*>(key)) + kAllocatorHeader;
}

template <class Element>
std::size_t bytes_of(const std::vector<Element>& list) noexcept {
  return list.capacity() == 0 ? 0 : list.capacity() * sizeof(Element) + kAllocatorHeader;
}

/// A tag without its list.
template <class Tag>
std::size_t bytes_of_node(const Tag& tag) noexcept {
  const std::size_t own = kTreeNode + sizeof(Tag) + kAllocatorHeader;
  const bool is_inside = tag.first.capacity() <= Bytes().capacity();
  return is_inside ? own : own + tag.first.capacity() + 1 + kAllocatorHeader;
}

}  // namespace

TagIndex::~TagIndex() {
  // A key stands in the lists of all its tags: it is freed with the first of them, when all others are
  // through.
  std::vector<TaggedKey*> keys;
  for (const Tag& tag : tags_)
    for (TaggedKey* key : tag.second)
      if (key->links().front().tag == &tag) keys.push_back(key);
  std::ranges::for_each(keys, TaggedKey::free);
}

TagIndex::TagIndex(TagIndex&& other) noexcept
    : tags_(std::move(other.tags_)), bytes_(std::exchange(other.bytes_, 0)) {
  other.tags_.clear();
}

TagIndex& TagIndex::operator=(TagIndex&& other) noexcept {
  std::swap(tags_, other.tags_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

TaggedKey* TagIndex::add(Record& record, const TagSet& tags) {
  TaggedKey* const key = TaggedKey::make(record, tags.size());
  bytes_ += bytes_of(key);
  auto link = key->links().begin();
  for (const Bytes& name : tags) {
    Tag& tag = tag_named(name);
    bytes_ -= bytes_of(tag.second);
    *link++ = {&tag, static_cast<std::uint32_t>(tag.second.size())};
    tag.second.push_back(key);
    bytes_ += bytes_of(tag.second);
  }
  return key;
}

TagIndex::Tag& TagIndex::tag_named(const Bytes& name) {
  const auto [place, is_new] = tags_.try_emplace(name);
  if (is_new) bytes_ += bytes_of_node(*place);
  return *place;
}

void TagIndex::remove(TaggedKey* key) noexcept {
  for (const TaggedKey::Link& link : key->links()) take_out(*link.tag, link.position);
  bytes_ -= bytes_of(key);
  TaggedKey::free(key);
}

/// Takes a key out of a tag's list; the last one moves into its place. A tag without keys is forgotten.
void TagIndex::take_out(Tag& tag, std::uint32_t position) noexcept {
  std::vector<TaggedKey*>& keys = tag.second;
  bytes_ -= bytes_of(keys);
  TaggedKey* const last = keys.back();
  keys.pop_back();
  if (position < keys.size()) {
    keys[position] = last;
    last->link_to(tag).position = position;
  }
  constexpr std::size_t kWorthShrinking = 64;
  if (keys.capacity() > kWorthShrinking && keys.size() * 4 < keys.capacity()) keys.shrink_to_fit();
  bytes_ += bytes_of(keys);
  if (!keys.empty()) return;
  bytes_ -= bytes_of(keys) + bytes_of_node(tag);
  tags_.erase(tags_.find(tag.first));
}

void TagIndex::moved(TaggedKey& key, Record& record) noexcept {
  key.record = &record;
}

TagSet TagIndex::tags_of(const TaggedKey& key) {
  std::vector<Bytes> tags;
  for (const TaggedKey::Link& link : key.links()) tags.push_back(link.tag->first);
  return TagSet::from_checked(std::move(tags));
}

template <class Visit>
void TagIndex::for_each_tag(const Bytes& wanted, TagQuery::Reach reach, Visit visit) const {
  if (const auto found = tags_.find(wanted); found != tags_.end()) visit(*found);
  if (reach == TagQuery::Reach::exact) return;
  // What lies below comes from `wanted:` on; tags like `wanted!` may stand between the two.
  const Bytes below = wanted + ':';
  for (auto tag = tags_.lower_bound(below); tag != tags_.end() && tag->first.starts_with(below); ++tag)
    visit(*tag);
}

std::vector<Record*> TagIndex::find(const TagQuery& query) const {
  std::vector<TaggedKey*> keys;
  // Of keys that need all tags, those that carry the first one are the candidates.
  const std::size_t starting_points = query.need == TagQuery::Need::all ? 1 : query.tags.size();
  for (std::size_t i = 0; i < starting_points; ++i)
    for_each_tag(query.tags[i], query.reach,
                 [&keys](const Tag& tag) { keys.insert(keys.end(), tag.second.begin(), tag.second.end()); });
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());

  std::vector<Record*> records;
  for (const TaggedKey* key : keys)
    if (query.need == TagQuery::Need::any || query.matches(tags_of(*key))) records.push_back(key->record);
  return records;
}

}  // namespace larder
