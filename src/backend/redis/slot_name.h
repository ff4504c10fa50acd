#pragma once

#include <cstdint>
#include <string>

namespace larder::redis {

/// A short string that hashes to the slot, so that `{…}` in a name puts it there.
///
/// Shape: one to three letters and digits; the same always, as names in Redis contain it.
[[nodiscard]] const std::string& slot_name(std::uint16_t slot);

}  // namespace larder::redis
