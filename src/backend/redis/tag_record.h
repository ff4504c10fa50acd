#pragma once

#include <span>

#include <fmt/format.h>

#include "base/bytes.h"

namespace larder::redis {

// Parts of a request to Redis.

inline void append_size(std::size_t size, Bytes& out) {
  const fmt::format_int text(size);
  out.append(text.data(), text.size()).append("\r\n");
}

inline void append_word(ByteView word, Bytes& out) {
  out += '$';
  append_size(word.size(), out);
  out.append(word).append("\r\n");
}

inline void append_number(std::size_t number, Bytes& out) {
  const fmt::format_int text(number);
  append_word({text.data(), text.size()}, out);
}

/// Appends a list of tags in MessagePack, as the scripts' cmsgpack.pack makes it; of no tags nothing. Shape:
/// at most 32 tags of 512 bytes.
void append_record(std::span<const ByteView> tags, Bytes& out);

}  // namespace larder::redis
