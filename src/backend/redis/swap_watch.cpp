#include "backend/redis/swap_watch.h"

#include <charconv>

namespace larder::redis {

std::int64_t swapdb_calls(ByteView reply) noexcept {
  constexpr ByteView kField = "cmdstat_swapdb:calls=";
  const std::size_t at = reply.find(kField);
  if (at == ByteView::npos) return 0;
  const ByteView number = reply.substr(at + kField.size());
  std::int64_t calls = 0;
  std::from_chars(number.data(), number.data() + number.size(), calls);
  return calls;
}

}  // namespace larder::redis
