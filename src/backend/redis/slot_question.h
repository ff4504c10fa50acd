#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace larder::redis {

/// CLUSTER COUNTKEYSINSLOT or GETKEYSINSLOT. The slot's master is asked for the same without the bookkeeping
/// of tags: left out of what Redis says, it would leave fewer names than there are.
struct SlotQuestion {
  std::uint16_t slot;
  std::optional<std::int64_t> most;  ///< names to show; nothing: the number of keys is asked for

  /// Nothing: Redis shall say what is wrong with the words. Shape: both of these words are there.
  [[nodiscard]] static std::optional<SlotQuestion> parse(std::span<const ByteView> argv);
};

}  // namespace larder::redis
