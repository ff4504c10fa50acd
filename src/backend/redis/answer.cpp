#include "backend/redis/answer.h"

#include "resp/as_resp2.h"

namespace larder::redis {

void answer(const InFlight& entry, const Reply& reply) {
  ReplyWriter writer = entry.caller->reply_to(entry.ticket);
  if (entry.converts && reply.needs_resp3)
    append_as_resp2(reply.bytes, writer.buffer(), entry.nesting);
  else
    writer.raw(reply.bytes);
  entry.caller->upstream_us = reply.took_us;
  entry.caller->is_heard_of = is_heard_of(*entry.caller, reply);
  entry.caller->finish(entry.ticket);
}

void answer_error(const Waiter& waiter, ByteView error, std::int64_t upstream_us) {
  waiter.caller->reply_to(waiter.ticket).error(error);
  waiter.caller->upstream_us = upstream_us;
  waiter.caller->finish(waiter.ticket);
}

}  // namespace larder::redis
