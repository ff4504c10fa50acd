#pragma once

#include <string>

namespace larder {

/// 40 hex digits, which no other process has.
[[nodiscard]] std::string random_name();

}  // namespace larder
