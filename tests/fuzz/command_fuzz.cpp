#include <cstdint>
#include <cstdlib>

#include "command/desk.h"
#include "command/limits.h"

// Each line is a request, run on a std::map and on a real keyspace: they must answer alike.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  larder::command_limits.max_string_bytes = 64 << 10;
  larder::ByteView lines(reinterpret_cast<const char*>(bytes), size);
  static larder::Desk desk;  // a keyspace is slow to make
  desk.clear();
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const larder::Bytes answer = desk.ask(lines.substr(0, end));
    if (answer.empty() || answer.starts_with("map: ")) std::abort();
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return 0;
}
