#pragma once

#include <utility>
#include <vector>

#include "backend/backend.h"

namespace larder::redis {

/// A client that waits for nothing.
class NoCaller final : public Caller {
 public:
  explicit NoCaller(Protocol protocol) { protocol_ = protocol; }
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {bytes_, protocol_}; }
  void finish(Ticket) override {}
  std::size_t pending() const noexcept override { return 0; }

 private:
  Bytes bytes_;
};

/// A request as the server hands it over: with its row, when the table has one.
struct Asked {
  explicit Asked(std::vector<ByteView> words, Protocol protocol = Protocol::resp2)
      : argv(std::move(words)), caller(protocol) {
    request.argv = argv;
    request.spec = find_command(argv[0]);
  }
  std::vector<ByteView> argv;
  NoCaller caller;
  Bytes bytes;
  ReplyWriter reply{bytes, Protocol::resp2};
  Request request{nullptr, {}, {}, 0, caller, reply};
};

}  // namespace larder::redis
