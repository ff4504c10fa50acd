#include "server/transaction.h"

#include "backend/block.h"
#include "server/rights.h"

namespace larder {

Transaction::Transaction() : block_(kBlockBegin) {}

void Transaction::queue(const Request& request, Place place) {
  if (place != Place::server)
    block_.append(place == Place::asked ? question_for(*request.spec) : request.raw);
  if (place != Place::backend) {
    own_.push_back({size_, place, request.spec, Bytes(request.raw)});
    own_bytes_ += request.raw.size();
  }
  writes_ |= request.spec == nullptr || request.spec->flags.has(Flag::write);
  ++size_;
}

ByteView Transaction::block() {
  if (!std::exchange(closed_, true)) block_.append(kBlockEnd);
  return block_;
}

}  // namespace larder
