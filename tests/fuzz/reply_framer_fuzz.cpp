// Whatever bytes an upstream sends, in whatever pieces: the framer finds the same replies, and what it calls
// a reply can be walked and converted.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "resp/as_resp2.h"
#include "resp/reply_cursor.h"
#include "resp/reply_framer.h"

using namespace larder;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// The ends of all replies in `stream`, when it arrives `step` bytes at a time; the last entry is -1 after an
/// error.
std::vector<std::ptrdiff_t> ends_of(ByteView stream, std::size_t step) {
  ReplyFramer framer({.max_bytes = 1 << 20});
  std::vector<std::ptrdiff_t> ends;
  std::size_t start = 0;
  for (std::size_t arrived = 0; arrived < stream.size();) {
    arrived = std::min(arrived + step, stream.size());
    for (;;) {
      const auto status = framer.parse(stream.substr(start, arrived - start));
      if (!status) {
        ends.push_back(-1);
        return ends;
      }
      if (*status == ReplyFramer::Status::need_more) break;
      start += framer.size();
      ends.push_back(static_cast<std::ptrdiff_t>(start));
    }
  }
  return ends;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView stream(reinterpret_cast<const char*>(data), size);
  const std::vector<std::ptrdiff_t> ends = ends_of(stream, size + 1);
  require(ends == ends_of(stream, 1));
  require(ends == ends_of(stream, 7));
  std::ptrdiff_t start = 0;
  for (const std::ptrdiff_t end : ends) {
    if (end < 0) break;
    const ByteView reply =
        stream.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start));
    ReplyCursor cursor(reply);
    cursor.skip();
    require(cursor.at_end());
    std::string converted;
    append_as_resp2(reply, converted);
    ReplyFramer framer;
    require(*framer.parse(converted) == ReplyFramer::Status::ready && framer.size() == converted.size());
    start = end;
  }
  return 0;
}
