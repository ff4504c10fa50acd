#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder {

inline constexpr std::uint64_t kMegabyte = 1ULL << 20;

/// What a duration without a unit means.
enum class BareNumber { refused, seconds };

/// Reads a number of bytes: "100", "64mb", "1gb".
///
/// Shape:  digits, then one of b k kb m mb g gb in any case; nothing before, between or after.
/// Units:  as in redis.conf: k is 1000, kb is 1024, and so on.
/// Errors: nothing on any other text and on more than 2^63 - 1 bytes.
/// Source: Redis util.c, memtoull().
[[nodiscard]] std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept;

/// The shortest text that parse_byte_size() reads back as `bytes`: "64mb", "1025b" is "1025".
[[nodiscard]] std::string byte_size_text(std::uint64_t bytes);

/// Reads a length of time: "10s", "500ms".
///
/// Shape:  digits, then one of us ms s m h d; a bare 0 needs no unit.
/// Errors: nothing on any other text, on a bare number that is refused, and beyond 100 years.
[[nodiscard]] std::optional<std::chrono::microseconds> parse_duration(
    std::string_view text, BareNumber bare = BareNumber::refused) noexcept;

/// The text in the largest unit that parse_duration() reads back as `time`: "90s", "500ms", "0".
[[nodiscard]] std::string duration_text(std::chrono::microseconds time);

}  // namespace larder
