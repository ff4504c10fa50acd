#pragma once

#include <span>
#include <string_view>

namespace larder::config {

/// The one of `names` that `mistyped` was probably meant to be; empty when none is near.
[[nodiscard]] std::string_view find_nearest(std::string_view mistyped,
                                            std::span<const std::string_view> names);

}  // namespace larder::config
