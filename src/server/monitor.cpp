#include "server/monitor.h"

#include <fmt/format.h>

#include "base/clock.h"

namespace larder {

std::string quoted(ByteView bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    switch (c) {
      case '\\':
      case '"':
        text.push_back('\\');
        text.push_back(c);
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      case '\t':
        text += "\\t";
        break;
      case '\a':
        text += "\\a";
        break;
      case '\b':
        text += "\\b";
        break;
      default:
        if (c >= 0x20 && c < 0x7f)
          text.push_back(c);
        else
          text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  text.push_back('"');
  return text;
}

std::string monitor_line(std::span<const ByteView> argv, int db, ByteView address) {
  const std::int64_t now_us = unix_now_us();
  std::string line = fmt::format("+{}.{:06} [{} {}]", now_us / 1'000'000, now_us % 1'000'000, db, address);
  for (const ByteView argument : argv) line.append(1, ' ').append(quoted(argument));
  return line.append("\r\n");
}

}  // namespace larder
