#include "command/glob.h"

#include <algorithm>

namespace larder {
namespace {

class Matcher {
 public:
  Matcher(ByteView pattern, LetterCase letter_case) noexcept : pattern_(pattern), letter_case_(letter_case) {}

  /// Goes back to the last `*` on a mismatch and lets it take one character more: earlier ones need not be
  /// tried again, for the last one can take whatever they could.
  [[nodiscard]] bool matches(ByteView text) noexcept {
    std::size_t after_star = ByteView::npos, retry_at = 0;
    for (std::size_t i = 0; i < text.size();) {
      if (position_ < pattern_.size() && pattern_[position_] == '*') {
        skip_stars();
        if (position_ == pattern_.size()) return true;
        after_star = position_;
        retry_at = i;
      } else if (position_ < pattern_.size() && take_one(text[i])) {
        ++i;
      } else {
        if (after_star == ByteView::npos) return false;
        position_ = after_star;
        i = ++retry_at;
      }
    }
    if (!text.empty()) skip_stars();
    return position_ == pattern_.size();
  }

 private:
  void skip_stars() noexcept {
    while (position_ < pattern_.size() && pattern_[position_] == '*') ++position_;
  }

  [[nodiscard]] char fold(char c) const noexcept {
    return letter_case_ == LetterCase::ignored ? ascii_lower(c) : c;
  }

  [[nodiscard]] bool is_equal(char a, char b) const noexcept { return fold(a) == fold(b); }

  [[nodiscard]] std::size_t left() const noexcept { return pattern_.size() - position_; }

  /// Matches `c` against the element at position_, and moves behind it.
  [[nodiscard]] bool take_one(char c) noexcept {
    switch (pattern_[position_]) {
      case '?':
        ++position_;
        return true;
      case '[':
        ++position_;
        return take_class(c);
      case '\\':
        if (left() >= 2) ++position_;
        [[fallthrough]];
      default:
        return is_equal(pattern_[position_++], c);
    }
  }

  [[nodiscard]] bool take_class(char c) noexcept {
    const bool negated = left() > 0 && pattern_[position_] == '^';
    if (negated) ++position_;
    bool found = false;
    while (left() > 0 && pattern_[position_] != ']') found |= take_class_element(c);
    if (left() > 0) ++position_;
    return found != negated;
  }

  [[nodiscard]] bool take_class_element(char c) noexcept {
    if (left() >= 2 && pattern_[position_] == '\\') {
      position_ += 2;
      return pattern_[position_ - 1] == c;
    }
    if (left() >= 3 && pattern_[position_ + 1] == '-') {
      position_ += 3;
      return is_between(pattern_[position_ - 3], pattern_[position_ - 1], c);
    }
    return is_equal(pattern_[position_++], c);
  }

  [[nodiscard]] bool is_between(char from, char to, char c) const noexcept {
    const auto [low, high] = std::minmax({static_cast<signed char>(from), static_cast<signed char>(to)});
    const auto folded = [this](signed char bound) {
      return static_cast<signed char>(fold(static_cast<char>(bound)));
    };
    const signed char tested = folded(static_cast<signed char>(c));
    return tested >= folded(low) && tested <= folded(high);
  }

  const ByteView pattern_;
  const LetterCase letter_case_;
  std::size_t position_ = 0;
};

}  // namespace

bool glob_matches(ByteView pattern, ByteView text, LetterCase letter_case) noexcept {
  return Matcher(pattern, letter_case).matches(text);
}

}  // namespace larder
