#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace larder {

/// Longest text of a 64-bit integer, sign included.
inline constexpr std::size_t kMaxIntegerChars = 20;

/// Reads a 64-bit integer in its one canonical form: no `+`, no leading zero, no spaces, no `-0`.
///
/// Errors: nothing when `text` is anything else, or out of range.
/// Source: Redis util.c string2ll(): only what prints back the same is an integer.
[[nodiscard]] std::optional<std::int64_t> parse_integer(ByteView text) noexcept;

/// Reads a long double in any form strtold() knows, hexadecimal and `inf` included.
///
/// Errors: nothing for spaces in front, trailing bytes, NaN, overflow, underflow to zero, or 5 KB and more.
/// Source: Redis util.c string2ld().
[[nodiscard]] std::optional<long double> parse_long_double(ByteView text);

/// `value` with at most 17 digits after the point, without trailing zeros, never in exponent form.
///
/// Source: Redis util.c ld2string() in LD_STR_HUMAN mode, which INCRBYFLOAT stores and answers.
[[nodiscard]] std::string format_long_double(long double value);

/// The text of an integer on the stack, for storing without an allocation.
class IntegerText {
 public:
  explicit IntegerText(std::int64_t value) noexcept;
  [[nodiscard]] ByteView view() const noexcept { return {chars_, size_}; }

 private:
  char chars_[kMaxIntegerChars];
  std::size_t size_;
};

}  // namespace larder
