#pragma once

#include <span>

#include "backend/redis/known_commands.h"
#include "backend/redis/tag_scripts.h"

namespace larder::redis {

/// Sends a request of Larder's own.
class TagHost {
 public:
  [[nodiscard]] virtual Step send_own(const Request& request, const Route& route) = 0;

 protected:
  ~TagHost() = default;
};

/// A request of Larder's own, answered into a buffer.
///
/// Use: ask() or call(); when that is false, finish() will be called. Then the reply is there.
class OwnCaller : public Caller {
 public:
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {reply_, protocol_}; }
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }
  [[nodiscard]] bool may_hold() const noexcept override { return false; }

 protected:
  ~OwnCaller() = default;

  /// Sends a command whose first argument is its key and which may be run twice; true when it was answered at
  /// once.
  [[nodiscard]] bool ask(TagHost& host, std::span<const ByteView> argv);

  /// Sends a call of a script.
  [[nodiscard]] bool call(TagHost& host, TagScript script, std::span<const ByteView> keys,
                          std::span<const ByteView> arguments);

  [[nodiscard]] const Bytes& reply() const noexcept { return reply_; }

 private:
  [[nodiscard]] bool send(TagHost& host, const Route& route);

  Bytes raw_, reply_;
};

}  // namespace larder::redis
