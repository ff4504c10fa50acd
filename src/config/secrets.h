#pragma once

#include <string>
#include <string_view>

namespace larder::config {

/// A Redis or PostgreSQL address as people may see it: every password is "***".
///
/// Shape:  takes URLs and libpq's "key=value ..."; a malformed one is masked too much rather than too little.
[[nodiscard]] std::string mask_secrets(std::string_view address);

}  // namespace larder::config
