#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"

namespace larder {

/// A request as MONITOR and SLOWLOG may show it: passwords are replaced by `(redacted)`.
///
/// Life: views into `argv` and into constants.
[[nodiscard]] std::vector<ByteView> redacted(std::span<const ByteView> argv);

}  // namespace larder
