#include "resp/request_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace larder {
namespace {

constexpr std::size_t kMaxHeader = 64 * 1024;       // PROTO_INLINE_MAX_SIZE
constexpr std::int64_t kMaxArguments = 0x7fffffff;  // INT_MAX; one more is "invalid multibulk length"
constexpr std::int64_t kMaxArgumentsBeforeAuth = 10;
constexpr std::int64_t kMaxBulkBeforeAuth = 16384;

/// Offset of the `\r` that ends the line starting at `from`, or ByteView::npos. Redis, too, trusts the byte
/// after it.
std::size_t find_return(ByteView input, std::size_t from) noexcept {
  const void* found = std::memchr(input.data() + from, '\r', input.size() - from);
  if (found == nullptr) return ByteView::npos;
  const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
  return at + 1 < input.size() ? at : ByteView::npos;
}

/// As Redis' string2ll: optional minus, no leading zeros, no plus.
bool parse_length(ByteView text, std::int64_t& value) noexcept {
  if (text.size() == 1) {
    value = text[0] - '0';
    return value >= 0 && value <= 9;
  }
  const ByteView digits = text.substr(!text.empty() && text[0] == '-' ? 1 : 0);
  if (digits.empty() || digits[0] < '1' || digits[0] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// A cursor over input that fails at whatever is unusual or has not arrived.
struct Glance {
  const char* at;
  const char* const end;

  /// Takes `mark`, one to four digits and a line end. Shape: a negative number for anything else.
  std::int64_t take_length(char mark) noexcept {
    constexpr std::ptrdiff_t kLongest = 7;
    if (end - at < kLongest || *at != mark) return -1;
    const char* const digits = ++at;
    std::int64_t value = 0;
    for (; static_cast<unsigned char>(*at - '0') <= 9 && at - digits < 4; ++at)
      value = value * 10 + (*at - '0');
    const bool is_number = at > digits && (*digits != '0' || at - digits == 1);
    if (!is_number || at[0] != '\r') return -1;
    at += 2;
    return value;
  }
};

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = ascii_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// One escape of a double-quoted word, `\` at `text[i]`; advances `i` to its last byte.
char unescape(ByteView text, std::size_t& i) noexcept {
  if (text[i + 1] == 'x' && i + 3 < text.size() && hex_digit(text[i + 2]) >= 0 &&
      hex_digit(text[i + 3]) >= 0) {
    i += 3;
    return static_cast<char>(hex_digit(text[i - 1]) * 16 + hex_digit(text[i]));
  }
  ++i;
  switch (text[i]) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return text[i];
  }
}

/// Reads a quoted run whose opening quote is at `text[i]`; leaves `i` behind the closing one. False:
/// unbalanced.
bool take_quoted(ByteView text, std::size_t& i, Bytes& word) {
  const char quote = text[i++];
  for (; i < text.size(); ++i) {
    if (text[i] == quote) {
      ++i;
      return i == text.size() || is_space(text[i]);  // any, also one that does not end a bare word
    }
    if (quote == '"' && text[i] == '\\' && i + 1 < text.size())
      word.push_back(unescape(text, i));
    else if (quote == '\'' && text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\'')
      word.push_back(text[++i]);
    else
      word.push_back(text[i]);
  }
  return false;
}

/// What ends a word without quotes. Between words there may be any space.
bool ends_word(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Splits an inline line into words, quotes and escapes as Redis' sdssplitargs. False: unbalanced quotes.
bool split_words(ByteView line, std::vector<Bytes>& words) {
  std::size_t i = 0;
  for (;;) {
    while (i < line.size() && is_space(line[i])) ++i;
    if (i >= line.size()) return true;
    Bytes& word = words.emplace_back();
    while (i < line.size() && !ends_word(line[i])) {
      if (line[i] == '"' || line[i] == '\'') {
        if (!take_quoted(line, i, word)) return false;
        break;
      }
      word.push_back(line[i++]);
    }
  }
}

}  // namespace

void RequestParser::start_request() noexcept {
  position_ = 0;
  arguments_left_ = 0;
  bulk_length_ = -1;
  missing_ = 0;
  in_multibulk_ = false;
  finished_ = false;
  extents_.clear();
}

Result<RequestParser::Status> RequestParser::parse(ByteView input, const RequestLimits& limits) {
  if (finished_) start_request();
  if (input.empty()) return Status::need_more;
  if (!in_multibulk_ && limits.authenticated && parse_at_a_glance(input, limits)) return Status::ready;
  inline_ = !in_multibulk_ && input[0] != '*';
  return inline_ ? parse_inline(input) : parse_multibulk(input, limits);
}

/// The usual request, arrived whole and of short lengths, in one pass; false: nothing was read, look closely.
bool RequestParser::parse_at_a_glance(ByteView input, const RequestLimits& limits) {
  Glance glance{input.data(), input.data() + input.size()};
  std::int64_t count = glance.take_length('*');
  if (count <= 0) return false;
  argv_.clear();
  for (; count > 0; --count) {
    const std::int64_t size = glance.take_length('$');
    if (size < 0 || size > limits.max_bulk_bytes || glance.end - glance.at < size + 2) return false;
    argv_.emplace_back(glance.at, static_cast<std::size_t>(size));
    glance.at += size + 2;
  }
  position_ = static_cast<std::size_t>(glance.at - input.data());
  inline_ = false;
  finished_ = true;
  return true;
}

Result<RequestParser::Status> RequestParser::parse_multibulk(ByteView input, const RequestLimits& limits) {
  if (!in_multibulk_) {
    const Result<bool> header = parse_header(input, limits);
    if (!header) return header.error();
    if (!*header) return Status::need_more;
    if (finished_) return Status::empty;
  }
  while (arguments_left_ > 0) {
    const Result<bool> whole = parse_bulk(input, limits);
    if (!whole) return whole.error();
    if (!*whole) return Status::need_more;
  }
  argv_.clear();
  for (const Extent& extent : extents_) argv_.push_back(input.substr(extent.offset, extent.size));
  finished_ = true;
  return Status::ready;
}

Result<bool> RequestParser::parse_header(ByteView input, const RequestLimits& limits) {
  const std::size_t end = find_return(input, 0);
  if (end == ByteView::npos) {
    if (input.size() > kMaxHeader) return Errc::multibulk_count_too_long;
    return false;
  }
  std::int64_t count = 0;
  if (!parse_length(input.substr(1, end - 1), count) || count > kMaxArguments)
    return Errc::bad_multibulk_length;
  if (count > kMaxArgumentsBeforeAuth && !limits.authenticated) return Errc::unauthenticated_multibulk_length;
  position_ = end + 2;
  arguments_left_ = count;
  in_multibulk_ = true;
  finished_ = count <= 0;
  return true;
}

Result<bool> RequestParser::parse_bulk(ByteView input, const RequestLimits& limits) {
  if (bulk_length_ < 0) {
    if (position_ >= input.size()) return false;
    const std::size_t end = find_return(input, position_);
    if (end == ByteView::npos) {
      if (input.size() - position_ > kMaxHeader) return Errc::bulk_length_too_long;
      return false;
    }
    if (input[position_] != '$') {
      unexpected_byte_ = input[position_];
      return Errc::expected_dollar;
    }
    std::int64_t length = 0;
    const ByteView digits = input.substr(position_ + 1, end - position_ - 1);
    if (!parse_length(digits, length) || length < 0 || length > limits.max_bulk_bytes)
      return Errc::bad_bulk_length;
    if (length > kMaxBulkBeforeAuth && !limits.authenticated) return Errc::unauthenticated_bulk_length;
    position_ = end + 2;
    bulk_length_ = length;
  }
  const std::size_t size = static_cast<std::size_t>(bulk_length_);
  const std::size_t available = input.size() - position_;
  if (available < size + 2) {
    missing_ = size + 2 - available;
    return false;
  }
  missing_ = 0;
  extents_.push_back({position_, size});
  position_ += size + 2;
  bulk_length_ = -1;
  --arguments_left_;
  return true;
}

Result<RequestParser::Status> RequestParser::parse_inline(ByteView input) {
  // Redis looks with strchr(): behind a zero byte it finds nothing.
  constexpr ByteView kStops("\n\0", 2);
  const std::size_t newline = input.find_first_of(kStops);
  if (newline == ByteView::npos || input[newline] == '\0') {
    if (input.size() > kMaxHeader) return Errc::inline_too_long;
    return Status::need_more;
  }
  const bool has_return = newline > 0 && input[newline - 1] == '\r';
  words_.clear();
  if (!split_words(input.substr(0, newline - (has_return ? 1 : 0)), words_)) return Errc::unbalanced_quotes;
  position_ = newline + 1;
  finished_ = true;
  argv_.assign(words_.begin(), words_.end());
  return argv_.empty() ? Status::empty : Status::ready;
}

std::vector<ByteView> RequestParser::partial_argv(ByteView input) const {
  std::vector<ByteView> argv;
  for (const Extent& extent : extents_) argv.push_back(input.substr(extent.offset, extent.size));
  return argv;
}

std::size_t RequestParser::heap_bytes() const noexcept {
  return extents_.capacity() * sizeof(Extent) + argv_.capacity() * sizeof(ByteView);
}

void RequestParser::shrink() noexcept {
  constexpr std::size_t kKeep = 1024;
  if (extents_.capacity() > kKeep && finished_) std::vector<Extent>().swap(extents_);
  if (argv_.capacity() > kKeep) std::vector<ByteView>().swap(argv_);
  if (!words_.empty()) std::vector<Bytes>().swap(words_);
}

}  // namespace larder
