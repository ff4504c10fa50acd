#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "command/spec.h"
#include "value/tag.h"

// What the commands over all keys of a tag are told. Their words are the same on every backend.
namespace larder {

enum class Sweep : std::uint8_t { awaited, behind };

struct InvalidateArguments {
  TagQuery query;
  Sweep sweep = Sweep::awaited;
};

/// TAGINVALIDATE tag … [EXACT] [ALL] [ASYNC]. Options stand last; the first word is always a tag,
/// and behind an empty word, which ends the tags, there are only options.
///
/// Errors: those of check_tag(), too_many_tags.
[[nodiscard]] Result<InvalidateArguments> parse_taginvalidate(std::span<const ByteView> argv);

/// TAGCOUNT tag [EXACT]. Errors: those of check_tag(), syntax.
[[nodiscard]] Result<TagQuery> parse_tagcount(std::span<const ByteView> argv);

struct TagKeysArguments {
  TagQuery query;
  std::uint64_t cursor = 0;
  std::size_t count = 1000;
};

/// TAGKEYS tag [EXACT] [CURSOR c] [COUNT n]. Errors: those of check_tag(), bad_cursor, not_an_integer,
/// syntax.
[[nodiscard]] Result<TagKeysArguments> parse_tagkeys(std::span<const ByteView> argv);

/// What is wrong with the words of TAGADD and its kin, or of a SET that has TAGS among its own; nothing for
/// other commands. Redis would not understand it, and a transaction would run without it. Shape: arity is
/// right.
[[nodiscard]] Result<void> check_tag_words(const CommandSpec& spec, std::span<const ByteView> argv);

/// Whether a request is one that no Redis knows: TAGADD and its kin, or SET with TAGS.
[[nodiscard]] bool is_about_tags(const CommandSpec& spec, std::span<const ByteView> argv) noexcept;

}  // namespace larder
