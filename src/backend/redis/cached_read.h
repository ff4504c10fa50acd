#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "resp/as_resp2.h"

namespace larder::redis {

/// A command whose reply depends on nothing but its words and the value of the one key it names: L1 may
/// answer it. GET and MGET are not among them; they have ways of their own.
struct CachedRead {
  ByteView name;
  Nesting nesting = Nesting::kept;    ///< when its reply is written as RESP2
  std::uint8_t most_arguments = 255;  ///< with more it names several keys, or answers in another shape
};

/// The row of a command by its lower-case name; null when L1 must not answer it.
[[nodiscard]] const CachedRead* find_cached_read(ByteView name) noexcept;

/// Appends what tells a read of a key from other reads of the same key: the command, its words without the
/// key (which stands second) and the protocol that the reply is for.
void append_question(const CachedRead& read, const Request& request, Bytes& question);

}  // namespace larder::redis
