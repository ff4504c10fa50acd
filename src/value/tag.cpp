#include "value/tag.h"

#include <algorithm>
#include <iterator>

namespace larder {
namespace {

constexpr char kSeparator = ':';

}  // namespace

Result<void> check_tag(ByteView tag) noexcept {
  if (tag.size() > kMaxTagBytes) return Errc::tag_too_long;
  const auto separators = static_cast<std::size_t>(std::ranges::count(tag, kSeparator));
  const bool has_empty_segment = tag.empty() || tag.front() == kSeparator || tag.back() == kSeparator ||
                                 tag.find("::") != ByteView::npos;
  if (has_empty_segment || separators >= kMaxTagSegments) return Errc::bad_tag;
  return {};
}

bool tag_covers(ByteView path, ByteView tag) noexcept {
  return tag.starts_with(path) && (tag.size() == path.size() || tag[path.size()] == kSeparator);
}

Result<TagSet> TagSet::parse(std::span<const ByteView> words) {
  for (const ByteView word : words)
    if (const Result<void> checked = check_tag(word); !checked) return checked.error();
  TagSet set;
  set.tags_.assign(words.begin(), words.end());
  std::ranges::sort(set.tags_);
  set.tags_.erase(std::unique(set.tags_.begin(), set.tags_.end()), set.tags_.end());
  if (set.size() > kMaxTagsOfKey) return Errc::too_many_tags;
  return set;
}

TagSet TagSet::from_checked(std::vector<Bytes> tags) noexcept {
  TagSet set;
  set.tags_ = std::move(tags);
  return set;
}

Result<std::size_t> TagSet::add(const TagSet& others) {
  std::vector<Bytes> all;
  std::ranges::set_union(tags_, others.tags_, std::back_inserter(all));
  if (all.size() > kMaxTagsOfKey) return Errc::too_many_tags;
  const std::size_t added = all.size() - size();
  tags_ = std::move(all);
  return added;
}

std::size_t TagSet::remove(const TagSet& others) {
  std::vector<Bytes> left;
  std::ranges::set_difference(tags_, others.tags_, std::back_inserter(left));
  const std::size_t removed = size() - left.size();
  tags_ = std::move(left);
  return removed;
}

bool TagQuery::matches(const TagSet& tags_of_key) const noexcept {
  const auto is_carried = [&](const Bytes& wanted) {
    return std::ranges::any_of(tags_of_key, [&](const Bytes& tag) { return matches(wanted, tag); });
  };
  return need == Need::all ? std::ranges::all_of(tags, is_carried) : std::ranges::any_of(tags, is_carried);
}

}  // namespace larder
