#include "backend/redis/tag_slots.h"

#include "backend/redis/handshake.h"
#include "command/arguments.h"
#include "value/number.h"

namespace larder::redis {
namespace {

/// ARGV slot group prefix [most]. The names of the group: tag_scripts.h, tag_directory.h.
constexpr ByteView kSlotScript =
    R"(local slot, group, prefix, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local all, hidden = redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot), 0
local tags = redis.pcall('ZCARD', group .. 't')
local others = redis.pcall('EXISTS', group .. 'r', group .. 't', group .. 'm', group .. 'd', group .. 's',
  group .. 'j')
if type(tags) == 'number' and type(others) == 'number' then hidden = tags + others end
if not most then return all - hidden end
local shown = {}
for _, key in ipairs(redis.call('CLUSTER', 'GETKEYSINSLOT', slot, math.min(most + hidden, all))) do
  if #shown < most and string.sub(key, 1, #prefix) ~= prefix then shown[#shown + 1] = key end
end
return shown
)";

}  // namespace

std::optional<SlotQuestion> SlotQuestion::parse(std::span<const ByteView> argv) {
  const bool counts = equals_ignore_case(argv[1], "countkeysinslot");
  if (argv.size() != (counts ? 3u : 4u)) return std::nullopt;
  const auto slot = parse_integer(argv[2]);
  if (!slot || *slot < 0 || *slot >= kHashSlots) return std::nullopt;
  const auto most = counts ? std::nullopt : parse_integer(argv[3]);
  if (!counts && (!most || *most < 0)) return std::nullopt;
  return SlotQuestion{static_cast<std::uint16_t>(*slot), most};
}

void append_slot_question(const SlotQuestion& question, const std::string& prefix, Bytes& out) {
  const std::string slot = std::to_string(question.slot);
  const std::string most = question.most ? std::to_string(*question.most) : "";
  append_request(
      out, {"EVAL", kSlotScript, "0", slot, TagGroup::of_slot(prefix, question.slot).begin(), prefix, most});
}

}  // namespace larder::redis
