#pragma once

#include <functional>
#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "backend/backend.h"

namespace larder {

class Worker;

/// A question of the server's own to the backend, with no client behind it.
///
/// Life:   keeps itself until it is answered.
/// Thread: its worker.
class Inquiry final : public Caller {
 public:
  using Answered = std::function<void(ByteView reply)>;

  /// Asks for INFO keyspace, which is Redis' to answer or Runner::keyspace on other backends; `answered` gets
  /// the reply in RESP2, perhaps at once; nothing when the backend is silent for kPatience, so that INFO can
  /// be asked for while the backend is in trouble.
  static void ask_keyspace(Worker& worker, Answered answered);

  Ticket defer() override;
  ReplyWriter reply_to(Ticket) override { return {reply_, Protocol::resp2}; }
  void finish(Ticket) override;
  [[nodiscard]] std::size_t pending() const noexcept override { return self_ == nullptr ? 0 : 1; }

  Inquiry(Worker& worker, Answered answered);
  ~Inquiry();

 private:
  void answer(ByteView reply);

  Worker& worker_;
  std::unique_ptr<boost::asio::steady_timer> deadline_;
  Answered answered_;  ///< empty once called
  Bytes reply_;
  std::shared_ptr<Inquiry> self_;  ///< while an answer is to come
  std::weak_ptr<Inquiry> weak_self_;
};

}  // namespace larder
