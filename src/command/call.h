#pragma once

#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "keyspace/records.h"
#include "resp/reply_writer.h"

namespace larder {

/// One run of a data command.
///
/// Shape: argv[0] is the command's name as sent; the number of arguments satisfies the row's arity.
/// Life:  views die when the handler returns.
struct Call {
  std::span<const ByteView> argv;
  int db;
  UnixMs now_ms;       ///< frozen for the whole command
  ReplyWriter& reply;  ///< exactly one reply is appended

  [[nodiscard]] KeyRef key(std::size_t index) const noexcept { return {db, argv[index]}; }
};

}  // namespace larder
