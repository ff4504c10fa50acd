#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/postgres/watches.h"

namespace larder::postgres {

/// MULTI … EXEC: the caller of its commands, which are a batch of their own, and the whole of their replies.
///
/// Life:   its batch's; the client lives as long as its reply is not there.
/// Thread: one worker.
class Transaction final : public Caller {
 public:
  Transaction(Caller& client, std::vector<Watches::Key> watched)
      : client_(client), watched_(std::move(watched)) {
    stand_in_for(client);
    is_heard_of = true;
  }

  /// The next command's reply, which is known at once.
  [[nodiscard]] ReplyWriter reply() { return reply_to(defer()); }
  void select(int db) noexcept { db_ = db; }

  /// All commands are there, and the client waits.
  void begin() { ticket_ = client_.defer(); }

  [[nodiscard]] std::span<const Watches::Key> watched() const noexcept { return watched_; }

  /// None was run: a key that is watched has changed.
  void abort() {
    client_.reply_to(ticket_).null_array();
    client_.finish(ticket_);
  }
  void refuse(ByteView error) {
    client_.reply_to(ticket_).error(error);
    client_.finish(ticket_);
  }
  /// Every command has its reply.
  void answer() {
    ReplyWriter reply = client_.reply_to(ticket_);
    reply.begin_array(replies_.size());
    for (const Bytes& one : replies_) reply.raw(one);
    client_.is_heard_of = is_heard_of;
    client_.finish(ticket_);
  }

  // --- Caller, for the commands ---
  Ticket defer() override {
    replies_.emplace_back();
    return replies_.size() - 1;
  }
  ReplyWriter reply_to(Ticket ticket) override { return {replies_[ticket], protocol_}; }
  void finish(Ticket) override {}
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }

 private:
  Caller& client_;
  Ticket ticket_ = 0;
  std::vector<Watches::Key> watched_;
  std::vector<Bytes> replies_;
};

}  // namespace larder::postgres
