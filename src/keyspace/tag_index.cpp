#include "keyspace/tag_index.h"

#include <algorithm>
#include <cstdlib>
#include <malloc.h>
#include <new>
#include <span>
#include <utility>

#include "keyspace/record.h"

namespace larder {

/// The tags of one record: a single allocation.
class TaggedKey {
 public:
  /// One of its tags, and its neighbours among those that carry it.
  struct Link {
    TagIndex::Tag* tag;
    TaggedKey* key;
    Link* previous;
    Link* next;
  };

  static TaggedKey* make(Record& record, std::size_t count) {
    void* memory = std::malloc(sizeof(TaggedKey) + count * sizeof(Link));
    if (memory == nullptr) throw std::bad_alloc();
    return new (memory) TaggedKey{&record, count};
  }
  static void free(TaggedKey* key) noexcept { std::free(key); }

  /// In the order of the tags' bytes.
  [[nodiscard]] std::span<Link> links() noexcept { return {reinterpret_cast<Link*>(this + 1), count}; }
  [[nodiscard]] std::span<const Link> links() const noexcept { return const_cast<TaggedKey*>(this)->links(); }

  Record* record;
  std::size_t count;
};

/// Invariant: somebody carries it, or something lies below it.
struct TagIndex::Tag {
  Bytes name;
  TaggedKey::Link* first = nullptr;  ///< of those that carry it
  Tag* parent = nullptr;
  Tag* first_below = nullptr;
  Tag* previous = nullptr;  ///< below the same parent
  Tag* next = nullptr;
};

namespace {

std::size_t bytes_of(const TaggedKey* key) noexcept {
  return ::malloc_usable_size(const_cast<TaggedKey*>(key)) + kAllocatorHeader;
}

template <class Tag>
std::size_t bytes_of_tag(const Tag& tag) noexcept {
  constexpr std::size_t kSlot = 14;  // of a table that is between half and seven eighths full
  const std::size_t own = sizeof(Tag) + kAllocatorHeader + kSlot;
  const bool is_inside = tag.name.capacity() <= Bytes().capacity();
  return is_inside ? own : own + tag.name.capacity() + 1 + kAllocatorHeader;
}

template <class Node>
void push_front(Node*& first, Node& node) noexcept {
  node.previous = nullptr;
  node.next = first;
  if (first != nullptr) first->previous = &node;
  first = &node;
}

template <class Node>
void take_out(Node*& first, Node& node) noexcept {
  (node.previous != nullptr ? node.previous->next : first) = node.next;
  if (node.next != nullptr) node.next->previous = node.previous;
}

/// The path that is one segment shorter; empty: there is none.
ByteView above(ByteView name) noexcept {
  const std::size_t colon = name.rfind(':');
  return colon == ByteView::npos ? ByteView() : name.substr(0, colon);
}

}  // namespace

std::size_t TagIndex::HashOfName::operator()(const Tag* tag) const noexcept {
  return hash_bytes(tag->name);
}

bool TagIndex::SameName::operator()(ByteView name, const Tag* tag) const noexcept {
  return tag->name == name;
}

TagIndex::~TagIndex() {
  // A key is among those of all its tags: it is freed with the first of them, when all others are through.
  std::vector<TaggedKey*> keys;
  for (const Tag* tag : tags_)
    for (const TaggedKey::Link* link = tag->first; link != nullptr; link = link->next)
      if (&link->key->links().front() == link) keys.push_back(link->key);
  std::ranges::for_each(keys, TaggedKey::free);
  for (const Tag* tag : tags_) delete tag;
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
    *link = {&tag, key, nullptr, nullptr};
    push_front(tag.first, *link++);
  }
  return key;
}

TagIndex::Tag& TagIndex::tag_named(ByteView name) {
  if (const auto found = tags_.find(name); found != tags_.end()) return **found;
  Tag* const tag = new Tag{.name = Bytes(name)};
  if (const ByteView path = above(name); !path.empty()) {
    tag->parent = &tag_named(path);
    push_front(tag->parent->first_below, *tag);
  }
  tags_.insert(tag);
  bytes_ += bytes_of_tag(*tag);
  return *tag;
}

void TagIndex::remove(TaggedKey* key) noexcept {
  for (TaggedKey::Link& link : key->links()) {
    take_out(link.tag->first, link);
    forget_if_unused(link.tag);
  }
  bytes_ -= bytes_of(key);
  TaggedKey::free(key);
}

void TagIndex::forget_if_unused(Tag* tag) noexcept {
  while (tag != nullptr && tag->first == nullptr && tag->first_below == nullptr) {
    Tag* const parent = tag->parent;
    if (parent != nullptr) take_out(parent->first_below, *tag);
    tags_.erase(ByteView(tag->name));
    bytes_ -= bytes_of_tag(*tag);
    delete tag;
    tag = parent;
  }
}

void TagIndex::moved(TaggedKey& key, Record& record) noexcept {
  key.record = &record;
}

TagSet TagIndex::tags_of(const TaggedKey& key) {
  std::vector<Bytes> tags;
  for (const TaggedKey::Link& link : key.links()) tags.push_back(link.tag->name);
  return TagSet::from_checked(std::move(tags));
}

bool TagIndex::are_tags_of(const TaggedKey& key, const TagSet& tags) noexcept {
  return std::ranges::equal(key.links(), tags, {},
                            [](const TaggedKey::Link& link) -> const Bytes& { return link.tag->name; });
}

template <class Visit>
bool TagIndex::for_each_below(const Tag& tag, const Visit& visit) {
  for (const Tag* below = tag.first_below; below != nullptr; below = below->next)
    if (!visit(*below) || !for_each_below(*below, visit)) return false;
  return true;
}

TagIndex::Found TagIndex::find(const TagQuery& query, std::size_t most) const {
  const bool needs_all = query.need == TagQuery::Need::all;
  std::vector<TaggedKey*> keys;
  const auto has_room = [&] { return needs_all || keys.size() < most; };
  const auto collect = [&](const Tag& tag) {
    for (const TaggedKey::Link* link = tag.first; link != nullptr && has_room(); link = link->next)
      keys.push_back(link->key);
    return has_room();
  };
  // Of keys that need all tags, those that carry the first one are the candidates.
  const std::size_t starting_points = needs_all ? 1 : query.tags.size();
  for (std::size_t i = 0; i < starting_points && has_room(); ++i) {
    const auto tag = tags_.find(ByteView(query.tags[i]));
    if (tag == tags_.end() || !collect(**tag)) continue;
    if (query.reach == TagQuery::Reach::below) for_each_below(**tag, collect);
  }
  Found found{.records = {}, .is_all = has_room()};
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (const TaggedKey* key : keys)
    if (!needs_all || query.matches(tags_of(*key))) found.records.push_back(key->record);
  return found;
}

}  // namespace larder
