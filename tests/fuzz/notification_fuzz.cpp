// A NOTIFY may come from anybody who knows the channel: any payload is read without harm. And whatever keys
// the writer is given, the reader hears of each, or of "everything".

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "backend/postgres/notification.h"

using namespace larder;
using namespace larder::postgres;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Heard {
  std::vector<std::pair<int, Bytes>> keys;
  bool everything = false;

  void hear(ByteView payload) {
    read_notification(
        payload, [this](int db, ByteView key) { keys.emplace_back(db, key); }, [this] { everything = true; });
  }
};

/// Each line is a key; the database is its number modulo 16.
std::vector<std::pair<int, Bytes>> keys_of(ByteView lines) {
  std::vector<std::pair<int, Bytes>> keys;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    keys.emplace_back(static_cast<int>(keys.size() % 16), lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return keys;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const ByteView input(reinterpret_cast<const char*>(bytes), size);
  Heard{}.hear(input);

  const auto keys = keys_of(input);
  Heard heard;
  NotificationWriter writer(7, [&](ByteView payload) {
    require(payload.size() < 8000 && payload.starts_with("7 "));
    heard.hear(payload.substr(2));
  });
  for (const auto& [db, key] : keys) writer.add(KeyRef(db, key));
  writer.finish();
  require(heard.everything || heard.keys == keys);
  return 0;
}
