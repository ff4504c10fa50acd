// Whatever a Redis, or what pretends to be one, says: the replies that Larder itself understands (slot
// tables, redirects, handshakes) are read without harm; where keys are found they are arguments.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "backend/redis/handshake.h"
#include "backend/redis/request_keys.h"
#include "backend/redis/sentinel_replies.h"
#include "backend/redis/slot_map.h"
#include "resp/reply_framer.h"
#include "resp/request_parser.h"

using namespace larder;
using namespace larder::redis;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_reply(ByteView reply) {
  if (const auto map = parse_cluster_slots(reply, "asked")) {
    for (const std::uint16_t owner : map->owner)
      require(owner == SlotMap::kNobody || owner < map->masters.size());
  }
  const Redirect redirect = parse_redirect(reply, "asked");
  require(redirect.slot < kHashSlots);
  (void)parse_master_address(reply);
  (void)parse_config_epoch(reply);
  (void)is_message(reply);
}

void find_keys(std::span<const ByteView> argv) {
  for (int rule = 0; rule <= static_cast<int>(KeyRule::migrate); ++rule) {
    std::vector<std::uint32_t> positions;
    append_key_positions(static_cast<KeyRule>(rule), {.first = 1, .last = -1, .step = 2}, argv, positions);
    for (const std::uint32_t position : positions) require(position < argv.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const ByteView input(reinterpret_cast<const char*>(bytes), size);
  ReplyFramer framer({.max_bytes = 1 << 20});
  Handshake handshake(config::RedisAddress{.host = "h"}, {.tracking = true, .commands = true});
  auto outcome = Handshake::Outcome::more;
  for (ByteView rest = input; !rest.empty(); rest.remove_prefix(framer.size())) {
    const auto status = framer.parse(rest);
    if (!status || *status == ReplyFramer::Status::need_more) break;
    const ByteView reply = rest.substr(0, framer.size());
    read_reply(reply);
    if (outcome == Handshake::Outcome::more) outcome = handshake.take(reply);
  }

  RequestParser parser;
  const auto status = parser.parse(input, {});
  if (status && *status == RequestParser::Status::ready) find_keys(parser.argv());
  return 0;
}
