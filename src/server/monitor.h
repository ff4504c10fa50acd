#pragma once

#include <span>
#include <string>

#include "base/bytes.h"

namespace larder {

/// A command as MONITOR shows it: `+1700000000.123456 [db address] "name" "argument"…\r\n`.
[[nodiscard]] std::string monitor_line(std::span<const ByteView> argv, int db, ByteView address);

/// Bytes in double quotes, unprintable ones escaped, as redis-cli and MONITOR print them.
[[nodiscard]] std::string quoted(ByteView bytes);

}  // namespace larder
