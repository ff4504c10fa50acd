#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/stream.h"
#include "resp/protocol.h"
#include "resp/reply_cursor.h"
#include "resp/reply_framer.h"

namespace larder::stale {

/// The connection broke. After it was open: what was sent may have been done.
struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Nothing came in the time that a connection is given.
struct Silent : Broken {
  using Broken::Broken;
};

/// Appends a request as an array of bulks.
void append_request(Bytes& out, const std::vector<ByteView>& words);

/// One blocking connection to a port of 127.0.0.1.
///
/// Errors: every call throws Broken or Silent; the connection is of no use afterwards.
class Connection {
 public:
  Connection(int port, Protocol protocol, int timeout_ms);

  void send(ByteView requests);

  /// The next reply. Life: until the next call.
  [[nodiscard]] ByteView read();

 private:
  void receive();

  const int port_;
  UniqueFd socket_;
  ReplyFramer framer_;
  Bytes input_;
  std::size_t taken_ = 0;
};

}  // namespace larder::stale
