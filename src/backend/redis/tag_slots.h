#pragma once

#include <optional>
#include <span>

#include "backend/redis/tag_names.h"

namespace larder::redis {

/// CLUSTER COUNTKEYSINSLOT or GETKEYSINSLOT.
struct SlotQuestion {
  std::uint16_t slot;
  std::optional<std::int64_t> most;  ///< names to show; nothing: the number of keys is asked for

  /// Nothing: Redis shall say what is wrong with the words. Shape: both of these words are there.
  [[nodiscard]] static std::optional<SlotQuestion> parse(std::span<const ByteView> argv);
};

/// Appends what asks the slot's master the same without the bookkeeping: left out of what Redis says, it
/// would leave fewer names than there are.
void append_slot_question(const SlotQuestion& question, const std::string& prefix, Bytes& out);

}  // namespace larder::redis
