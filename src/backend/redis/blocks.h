#pragma once

#include <vector>

#include "backend/redis/flights.h"
#include "backend/redis/retries.h"
#include "backend/redis/tag_requests.h"
#include "base/function_ref.h"

namespace larder::redis {

/// Transactions under way: MULTI, what is queued and EXEC, on a lane in one go. Redis runs all of one or
/// nothing, also if it refuses MULTI itself.
///
/// Thread: one worker.
class Blocks {
 public:
  Blocks(const NodeContext& context, TagRequests& tag_requests, TagState& tag_state, Retries& retries)
      : context_(context), tag_requests_(tag_requests), tag_state_(tag_state), retries_(retries) {}

  /// Appends EXEC's request to a lane that takes requests.
  void send(const Request& request, const Route& route, Lane& lane, InFlight entry);

  /// Redis has answered a part of it; `answer` gets what is for the client, once, unless it is sent again.
  using Answer = FunctionRef<void(const InFlight& entry, const Reply& reply)>;
  void on_reply(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer);

  /// Nobody will tell which keys it has changed.
  void doubt(const InFlight& entry);

  /// No reply will come. Returns what Redis has said if it refused to begin and so ran nothing; else nothing.
  [[nodiscard]] Bytes take_lost(const InFlight& entry, LaneOwner::Fate fate);

 private:
  struct Block {
    std::uint32_t asked = 0;   ///< commands of the client's
    std::uint32_t queued = 0;  ///< the same, and those that Larder has put between them
    std::size_t bytes = 0;     ///< of all that follows MULTI
    Lane::BlockGuard guard = Lane::BlockGuard::gate;
    bool was_begun = false;
    bool lacks_wait = false;
    bool tells = false;          ///< the reply names keys that were changed
    std::vector<Shown> shown{};  ///< of each of them; empty: all as they come
    Bytes refusal{};             ///< the first error that was said before EXEC's reply

    [[nodiscard]] bool is_gated() const noexcept {
      return guard == Lane::BlockGuard::gate || guard == Lane::BlockGuard::probation;
    }
  };

  void on_multi_reply(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer);
  void finish(Lane& lane, const InFlight& entry, const Reply& reply, Answer answer);
  [[nodiscard]] Bytes shown_of(const Block& block, ByteView reply);
  void append_told(ByteView reply, Bytes& shown);

  const NodeContext& context_;
  TagRequests& tag_requests_;
  TagState& tag_state_;
  Retries& retries_;
  Pool<Block> blocks_;
};

}  // namespace larder::redis
