#include "backend/redis/slot_question.h"

#include "backend/redis/hash_slot.h"
#include "command/arguments.h"
#include "value/number.h"

namespace larder::redis {

std::optional<SlotQuestion> SlotQuestion::parse(std::span<const ByteView> argv) {
  const bool counts = equals_ignore_case(argv[1], "countkeysinslot");
  if (argv.size() != (counts ? 3u : 4u)) return std::nullopt;
  const auto slot = parse_integer(argv[2]);
  if (!slot || *slot < 0 || *slot >= kHashSlots) return std::nullopt;
  const auto most = counts ? std::nullopt : parse_integer(argv[3]);
  if (!counts && (!most || *most < 0)) return std::nullopt;
  return SlotQuestion{static_cast<std::uint16_t>(*slot), most};
}

}  // namespace larder::redis
