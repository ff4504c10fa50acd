#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace larder {

// A tag is a path of segments joined by `:`. Any byte may stand in a segment, none is empty.
inline constexpr std::size_t kMaxTagSegments = 8;
inline constexpr std::size_t kMaxTagBytes = 512;
inline constexpr std::size_t kMaxTagsOfKey = 32;

/// Errors: bad_tag (an empty segment, too many of them), tag_too_long.
[[nodiscard]] Result<void> check_tag(ByteView tag) noexcept;

/// Whether `tag` is `path` or lies below it, by segment: `user:1` covers `user:1:x`, not `user:10`.
[[nodiscard]] bool tag_covers(ByteView path, ByteView tag) noexcept;

/// The tags of one key. Invariant: sorted, distinct, valid, at most kMaxTagsOfKey.
class TagSet {
 public:
  TagSet() = default;

  /// Errors: those of check_tag(), too_many_tags.
  [[nodiscard]] static Result<TagSet> parse(std::span<const ByteView> words);

  /// From tags that were checked before. Shape: sorted and distinct.
  [[nodiscard]] static TagSet from_checked(std::vector<Bytes> tags) noexcept;

  /// Adds what is not there yet; returns how many that were. Errors: too_many_tags, with nothing added.
  [[nodiscard]] Result<std::size_t> add(const TagSet& others);

  /// Returns how many were there.
  std::size_t remove(const TagSet& others);

  [[nodiscard]] bool empty() const noexcept { return tags_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return tags_.size(); }
  [[nodiscard]] auto begin() const noexcept { return tags_.begin(); }
  [[nodiscard]] auto end() const noexcept { return tags_.end(); }
  friend bool operator==(const TagSet&, const TagSet&) = default;

 private:
  std::vector<Bytes> tags_;
};

/// Which keys a command about tags means.
struct TagQuery {
  enum class Reach : std::uint8_t { below, exact };  ///< with what lies below a tag, or without
  enum class Need : std::uint8_t { any, all };       ///< a key needs one of the tags, or all

  std::vector<Bytes> tags;  ///< at least one
  Reach reach = Reach::below;
  Need need = Need::any;

  friend bool operator==(const TagQuery&, const TagQuery&) = default;

  [[nodiscard]] bool matches(const TagSet& tags_of_key) const noexcept;
  /// Whether a key's `tag` answers to one of the query's.
  [[nodiscard]] bool matches(ByteView query_tag, ByteView tag) const noexcept {
    return reach == Reach::exact ? query_tag == tag : tag_covers(query_tag, tag);
  }
};

}  // namespace larder
