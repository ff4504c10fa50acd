#include "backend/redis/tag_record.h"

namespace larder::redis {

void append_record(std::span<const ByteView> tags, Bytes& out) {
  const auto byte = [](std::size_t value) { return static_cast<char>(value); };
  if (tags.empty()) return;
  if (tags.size() < 16)
    out += byte(0x90 | tags.size());
  else
    out.append({byte(0xdc), '\0', byte(tags.size())});
  for (const ByteView tag : tags) {
    const std::size_t size = tag.size();
    if (size < 32)
      out += byte(0xa0 | size);
    else if (size < 256)
      out.append({byte(0xd9), byte(size)});
    else
      out.append({byte(0xda), byte(size >> 8), byte(size & 0xff)});
    out.append(tag);
  }
}

}  // namespace larder::redis
