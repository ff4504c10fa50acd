#include "resp/as_resp2.h"

#include <charconv>

#include <fmt/format.h>

namespace larder {
namespace {

std::int64_t number_in(ByteView line) noexcept {
  std::int64_t number = -1;
  std::from_chars(line.data(), line.data() + line.size(), number);
  return number;
}

void append_bulk(ByteView text, Bytes& out) {
  fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", text.size(), text);
}

/// A value cut in its parts. Life: of the reply.
struct Token {
  char type;
  ByteView line;  ///< behind the type, without line end
  ByteView body;  ///< of bulks, line end included
  ByteView whole;
};

Token take(ByteView& rest) noexcept {
  const std::size_t end = rest.find("\r\n");
  Token token{rest[0], rest.substr(1, end - 1), {}, rest.substr(0, end + 2)};
  const bool is_bulk = token.type == '$' || token.type == '=' || token.type == '!';
  if (const std::int64_t size = is_bulk ? number_in(token.line) : -1; size >= 0) {
    token.body = rest.substr(end + 2, static_cast<std::size_t>(size) + 2);
    token.whole = rest.substr(0, end + 2 + token.body.size());
  }
  rest.remove_prefix(token.whole.size());
  return token;
}

/// A verbatim string starts with three letters that tell what it is, and a colon.
ByteView without_format(ByteView body) noexcept {
  const ByteView text = body.substr(0, body.size() - 2);
  return text.size() < 4 ? text : text.substr(4);
}

void append_token(const Token& token, Bytes& out) {
  switch (token.type) {
    case '_':
      out.append("$-1\r\n");
      break;
    case ',':
    case '(':
      append_bulk(token.line, out);
      break;
    case '#':
      out.append(token.line == "t" ? ":1\r\n" : ":0\r\n");
      break;
    case '%':
      fmt::format_to(std::back_inserter(out), "*{}\r\n", 2 * number_in(token.line));
      break;
    case '~':
      out.append("*").append(token.whole.substr(1));
      break;
    case '=':
      append_bulk(without_format(token.body), out);
      break;
    default:
      out.append(token.whole);
  }
}

}  // namespace

void append_as_resp2(ByteView reply, Bytes& out, Nesting nesting) {
  if (nesting == Nesting::flattened && reply[0] == '*') {
    const Token outer = take(reply);
    if (reply.empty() || reply[0] != '*') nesting = Nesting::kept;
    const std::int64_t pairs = number_in(outer.line);
    fmt::format_to(std::back_inserter(out), "*{}\r\n", nesting == Nesting::kept ? pairs : 2 * pairs);
  }
  while (!reply.empty()) {
    const Token token = take(reply);
    if (nesting == Nesting::kept || token.type != '*') append_token(token, out);
  }
}

}  // namespace larder
