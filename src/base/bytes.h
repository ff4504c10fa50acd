#pragma once

#include <string>
#include <string_view>

namespace larder {

/// Bytes somebody else owns. Redis keys and values are binary-safe, and so is string_view.
using ByteView = std::string_view;

/// Bytes we own.
using Bytes = std::string;

/// ASCII lower case, independent of the locale.
[[nodiscard]] constexpr char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

[[nodiscard]] inline Bytes lower_case(ByteView text) {
  Bytes lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

/// Compares option words (`nx`, `EX`) as Redis does: ASCII, case-insensitive. `lower` is already lower case.
[[nodiscard]] constexpr bool equals_ignore_case(ByteView word, ByteView lower) noexcept {
  if (word.size() != lower.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i)
    if (ascii_lower(word[i]) != lower[i]) return false;
  return true;
}

}  // namespace larder
