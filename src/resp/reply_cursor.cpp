#include "resp/reply_cursor.h"

#include <charconv>

namespace larder {
namespace {

std::int64_t to_integer(ByteView text) noexcept {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::int64_t ReplyCursor::Value::integer() const noexcept {
  return to_integer(text);
}

ReplyCursor::Value ReplyCursor::next() noexcept {
  if (at_end()) return {'_', {}, -1};
  const std::size_t end = rest_.find("\r\n");
  const char type = rest_.front();
  const ByteView line = rest_.substr(1, end - 1);
  rest_.remove_prefix(end + 2);
  switch (type) {
    case '$':
    case '=':
    case '!': {
      const std::int64_t size = to_integer(line);
      if (size < 0) return {type, {}, -1};
      const ByteView text = rest_.substr(0, static_cast<std::size_t>(size));
      rest_.remove_prefix(text.size() + 2);
      return {type, text, 0};
    }
    case '%':
      return {type, {}, 2 * to_integer(line)};
    case '|':
      skip(2 * to_integer(line));
      return next();
    case '*':
    case '~':
    case '>':
      return {type, {}, to_integer(line)};
    default:
      return {type, line, 0};
  }
}

void ReplyCursor::skip() noexcept {
  for (std::int64_t left = 1; left > 0; --left) {
    const std::int64_t count = next().count;
    if (count > 0) left += count;
  }
}

}  // namespace larder
