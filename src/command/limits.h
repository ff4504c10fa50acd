#pragma once

#include <cstdint>

namespace larder {

/// What bounds the arguments of commands.
struct CommandLimits {
  int databases = 16;
  std::uint64_t max_string_bytes = 512ULL << 20;  ///< Redis' proto-max-bulk-len
};

/// The limits in force. Thread: set before the workers start, constant afterwards.
inline CommandLimits command_limits;

}  // namespace larder
