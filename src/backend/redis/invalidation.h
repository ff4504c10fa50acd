#pragma once

#include "resp/reply_cursor.h"

namespace larder::redis {

/// Shows the keys that an `invalidate` push names, or that it has null in their place, as after FLUSHALL;
/// nothing of other pushes.
template <class VisitKey, class VisitAll>
void read_invalidation(ByteView push, VisitKey visit_key, VisitAll visit_all) {
  ReplyCursor cursor(push);
  if (cursor.next().count < 2 || cursor.next().text != "invalidate") return;
  const ReplyCursor::Value keys = cursor.next();
  if (keys.is_null()) return visit_all();
  for (std::int64_t left = keys.count; left > 0; --left) visit_key(cursor.next().text);
}

}  // namespace larder::redis
