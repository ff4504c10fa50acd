#pragma once

#include "base/bytes.h"
#include "resp/reply_framer.h"

namespace larder::gate {

/// Takes the pushes out of what a server sends: the fault of a channel that tells of no change.
///
/// What is not RESP passes unchanged, and so does all that follows it.
class PushFilter {
 public:
  /// Appends to `out` what may pass of `received` and of what was kept before.
  void pass(ByteView received, Bytes& out) {
    kept_.append(received);
    std::size_t taken = 0;
    while (taken < kept_.size()) {
      const ByteView rest = ByteView(kept_).substr(taken);
      const auto status = framer_.parse(rest);
      if (status && *status == ReplyFramer::Status::need_more) break;
      const std::size_t size = status ? framer_.size() : rest.size();
      if (!status || framer_.type() != '>') out.append(rest.substr(0, size));
      taken += size;
    }
    kept_.erase(0, taken);
  }

 private:
  ReplyFramer framer_;
  Bytes kept_;
};

}  // namespace larder::gate
