#include "backend/redis/answer.h"

#include "resp/reply_framer.h"

namespace larder::redis {

void answer(const InFlight& entry, const Reply& reply) {
  ReplyWriter writer = entry.caller->reply_to(entry.ticket);
  if (entry.converts && reply.has_null)
    append_as_resp2(reply.bytes, writer.buffer());
  else
    writer.raw(reply.bytes);
  entry.caller->finish(entry.ticket);
}

void answer_error(const Waiter& waiter, ByteView error) {
  waiter.caller->reply_to(waiter.ticket).error(error);
  waiter.caller->finish(waiter.ticket);
}

}  // namespace larder::redis
