#pragma once

#include <functional>
#include <utility>

#include "backend/backend.h"

namespace larder {

/// Asks the backend in a client's place, with the client's rights, and has the reply to itself.
///
/// Life:   of its owner, until it is answered.
/// Thread: its client's.
class StandIn : public Caller {
 public:
  virtual ~StandIn() = default;

  /// A request is about to be run on behalf of `client`; `answered` gets the backend's reply, at once if it
  /// is there.
  using Answered = std::function<void(ByteView reply)>;
  void start(Caller& client, Answered answered) {
    stand_in_for(client);
    answered_ = std::move(answered);
    if (answered_ && is_finished_) finish(0);
  }

  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {reply_, protocol_}; }
  void finish(Ticket) override {
    is_finished_ = true;
    const Answered answered = std::exchange(answered_, nullptr);  // it may end this
    if (answered) answered(reply_);
  }
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }

 private:
  Bytes reply_;
  bool is_finished_ = false;  ///< the reply is whole
  Answered answered_;
};

}  // namespace larder
