#include <cstdlib>

#include "support/feed.h"

// Whatever the bytes are: parsed in one piece and in two they mean the same, and memory stays in proportion.

namespace {

using larder::test::feed;
using larder::test::feed_whole;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool authenticated = data[0] & 1;
  const std::size_t split = data[1] % (size - 1);
  const std::string_view stream(reinterpret_cast<const char*>(data + 2), size - 2);
  const larder::RequestLimits limits{.max_bulk_bytes = 1 << 20, .authenticated = authenticated};
  const std::string_view halves[] = {stream.substr(0, split), stream.substr(std::min(split, stream.size()))};
  require(feed_whole(stream, limits) == feed(halves, limits));
  larder::RequestParser parser;
  (void)parser.parse(stream, limits);
  require(parser.heap_bytes() < 1024 + 64 * size);
  return 0;
}
