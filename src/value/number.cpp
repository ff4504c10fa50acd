#include "value/number.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace larder {
namespace {

// A long double has up to 4933 digits before the point; Redis gives every such text 5 KB.
constexpr std::size_t kMaxLongDoubleChars = 5 * 1024;

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// from_chars() takes `007` and `-0`; to Redis the only integer that starts with a zero is `0`.
bool has_canonical_start(ByteView text) noexcept {
  if (text == "0") return true;
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text[0] >= '1' && text[0] <= '9';
}

bool is_out_of_range(long double value) noexcept {
  return errno == ERANGE && (std::isinf(value) || value == 0);
}

void strip_trailing_zeros(std::string& text) {
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
}

}  // namespace

std::optional<std::int64_t> parse_integer(ByteView text) noexcept {
  if (text.size() > kMaxIntegerChars || !has_canonical_start(text)) return std::nullopt;
  std::int64_t value;
  const char* const end = text.data() + text.size();
  const auto [stopped_at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped_at != end) return std::nullopt;
  return value;
}

std::optional<long double> parse_long_double(ByteView text) {
  if (text.empty() || text.size() >= kMaxLongDoubleChars || is_space(text[0])) return std::nullopt;
  const std::string terminated(text);
  char* stopped_at = nullptr;
  errno = 0;
  const long double value = std::strtold(terminated.c_str(), &stopped_at);
  const bool is_whole = stopped_at == terminated.c_str() + terminated.size();
  if (!is_whole || is_out_of_range(value) || std::isnan(value)) return std::nullopt;
  return value;
}

std::string format_long_double(long double value) {
  char digits[kMaxLongDoubleChars];
  const int size = std::snprintf(digits, sizeof digits, "%.17Lf", value);
  std::string text(digits, static_cast<std::size_t>(size));
  strip_trailing_zeros(text);
  return text == "-0" ? "0" : text;
}

IntegerText::IntegerText(std::int64_t value) noexcept
    : size_(static_cast<std::size_t>(std::to_chars(chars_, chars_ + sizeof chars_, value).ptr - chars_)) {}

}  // namespace larder
