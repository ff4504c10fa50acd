#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace larder {

/// Keys and tags are paths: segments joined by `:`, as in `user:123:posts`.
inline constexpr std::size_t kMaxPathBytes = 512;
inline constexpr std::size_t kMaxTagSegments = 8;
inline constexpr std::size_t kMaxTagsOfKey = 32;

/// One segment of a key or a tag: a text, or a number in decimal.
///
/// Life: a view; the text must outlive the call it is made for.
class Segment {
 public:
  Segment(std::string_view text) : text_(text) {}
  Segment(const char* text) : text_(text) {}
  Segment(const std::string& text) : text_(text) {}
  template <std::integral Number>
  Segment(Number number) : number_(std::to_string(number)), text_(number_) {}
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  std::string number_;
  std::string_view text_;
};

/// Joins segments to a key: `make_key({"user", 123})` is `user:123`.
///
/// Errors: std::invalid_argument when a segment is empty, or has a `:`, a space or a control character, or
/// when the key is longer than kMaxPathBytes.
[[nodiscard]] std::string make_key(std::initializer_list<Segment> segments);

/// Joins segments to a tag; a tag covers all tags that begin with its segments.
///
/// Errors: as make_key, and for more than kMaxTagSegments.
[[nodiscard]] std::string make_tag(std::initializer_list<Segment> segments);

/// What is wrong with a key that somebody else has put together, in words; empty: nothing.
///
/// Larder takes any bytes as a key; these are the rules of make_key().
[[nodiscard]] std::string find_key_fault(std::string_view key);

/// What is wrong with a tag, in words; empty: nothing.
[[nodiscard]] std::string find_tag_fault(std::string_view tag);

}  // namespace larder
