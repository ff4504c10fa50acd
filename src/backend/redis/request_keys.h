#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "command/spec.h"

namespace larder::redis {

/// Where a command has its keys when a KeyRange cannot say it.
enum class KeyRule : std::uint8_t {
  range,                ///< the KeyRange says it
  counted_from_first,   ///< `CMD n key…`
  counted_from_second,  ///< `CMD x n key…`
  stored_and_counted,   ///< `CMD destination n key…`
  streams,              ///< `CMD … STREAMS key… id…`
  sort,                 ///< `CMD key … STORE destination`
  geo,                  ///< `CMD key … STORE|STOREDIST destination`
  block,                ///< EXEC: the keys of the queued commands
  migrate,              ///< `MIGRATE host port key|"" … KEYS key…`
};

/// The rule of a command by its lower-case name.
[[nodiscard]] KeyRule find_key_rule(ByteView name) noexcept;

/// Appends the positions of the keys among the arguments; none for arguments that Redis will refuse.
///
/// Source: Redis 7.0 db.c, the getKeys functions of its commands.
void append_key_positions(KeyRule rule, const KeyRange& range, std::span<const ByteView> argv,
                          std::vector<std::uint32_t>& positions);

}  // namespace larder::redis
