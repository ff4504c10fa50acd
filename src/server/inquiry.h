#pragma once

#include <chrono>
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

  /// The same with a request that Redis is to answer, for which it has `patience`.
  static void ask_redis(Worker& worker, ByteView raw, std::chrono::milliseconds patience, Answered answered);

  Ticket defer() override;
  ReplyWriter reply_to(Ticket) override { return {reply_, Protocol::resp2}; }
  void finish(Ticket) override;
  [[nodiscard]] std::size_t pending() const noexcept override { return is_asked_ ? 1 : 0; }

  Inquiry(Worker& worker, const CommandSpec* spec, ByteView raw, std::chrono::milliseconds patience,
          Answered answered);

 private:
  static void ask(Worker& worker, const CommandSpec* spec, ByteView raw, std::chrono::milliseconds patience,
                  Answered answered);
  void try_to_ask();
  void wait_until(std::chrono::steady_clock::time_point when, void (Inquiry::*then)());
  void give_up() { answer({}); }
  void answer(ByteView reply);

  Worker& worker_;
  const CommandSpec* spec_;  ///< null: one that only Redis knows
  Bytes raw_;
  std::chrono::steady_clock::time_point deadline_;
  boost::asio::steady_timer timer_;
  Answered answered_;  ///< empty once called
  Bytes reply_;
  bool is_asked_ = false;
  std::shared_ptr<Inquiry> self_;  ///< while an answer is to come
  std::weak_ptr<Inquiry> weak_self_;
};

}  // namespace larder
