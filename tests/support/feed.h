#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resp/request_parser.h"

namespace larder::test {

using Words = std::vector<std::string>;

/// What a parser made of a stream.
struct Parsed {
  std::vector<Words> requests = {};
  std::optional<Errc> error = std::nullopt;
  std::size_t left = 0;  ///< bytes of an unfinished request

  bool operator==(const Parsed&) const = default;
};

/// Takes every whole request off `buffer`, as a session does; false after an error.
inline bool take_requests(RequestParser& parser, std::string& buffer, const RequestLimits& limits,
                          Parsed& parsed) {
  for (;;) {
    const auto status = parser.parse(buffer, limits);
    if (!status) {
      parsed.error = static_cast<Errc>(status.error().value());
      return false;
    }
    if (*status == RequestParser::Status::need_more) return true;
    if (*status == RequestParser::Status::ready)
      parsed.requests.emplace_back(parser.argv().begin(), parser.argv().end());
    buffer.erase(0, parser.consumed());
  }
}

/// Parses a stream that arrives in `pieces`; the bytes lie somewhere else after each of them.
inline Parsed feed(std::span<const std::string_view> pieces, const RequestLimits& limits = {}) {
  RequestParser parser;
  Parsed parsed;
  std::string buffer;
  for (const std::string_view piece : pieces) {
    buffer = std::string(buffer).append(piece);
    if (!take_requests(parser, buffer, limits, parsed)) return parsed;
  }
  parsed.left = buffer.size();
  return parsed;
}

inline Parsed feed_whole(std::string_view stream, const RequestLimits& limits = {}) {
  return feed({{stream}}, limits);
}

/// The stream in single bytes, then cut in two at every place; calls `check(parsed)` for each of these.
template <class Check>
void feed_at_every_split(std::string_view stream, Check check, const RequestLimits& limits = {}) {
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < stream.size(); ++i) bytes.push_back(stream.substr(i, 1));
  check(feed(bytes, limits));
  for (std::size_t i = 0; i <= stream.size(); ++i) {
    const std::string_view halves[] = {stream.substr(0, i), stream.substr(i)};
    check(feed(halves, limits));
  }
}

}  // namespace larder::test
