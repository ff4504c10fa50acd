#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder {

enum class LetterCase : std::uint8_t { matters, ignored };

/// Whether `text` as a whole matches a pattern of `*`, `?`, `[a-z]`, `[^a-z]` and `\` for the character
/// itself.
///
/// Shape:  `*` does not match the empty text: Redis looks at the pattern only while there is text.
/// Units:  O(pattern × text) at worst, no recursion.
/// Source: Redis util.c stringmatchlen(), its oddities included: an unclosed class ends with the pattern, a
/// range may be written backwards, and its bounds are signed characters.
[[nodiscard]] bool glob_matches(ByteView pattern, ByteView text,
                                LetterCase letter_case = LetterCase::matters) noexcept;

}  // namespace larder
