#include "backend/redis/tag_progress.h"

#include <span>

#include <fmt/format.h>

namespace larder::redis {

std::string in_line(const TagQuery& query) {
  constexpr std::size_t kShown = 4;
  std::string line;
  for (const Bytes& tag : std::span(query.tags).first(std::min(query.tags.size(), kShown))) {
    if (!line.empty()) line += '|';
    for (const char byte : tag)
      if (byte <= ' ' || byte > '~' || ByteView(",|=%").find(byte) != ByteView::npos)
        line += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
      else
        line += byte;
  }
  if (query.tags.size() > kShown) line += fmt::format("|%2B{}", query.tags.size() - kShown);
  return line;
}

}  // namespace larder::redis
