#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder {

/// What becomes of an array of arrays: Redis' sorted sets give their pairs nested in RESP3 and flat in RESP2.
enum class Nesting : std::uint8_t { kept, flattened };

/// Appends a RESP3 reply in the form in which Redis gives it to a client that speaks RESP2.
///
/// Nulls become `$-1`, maps and sets arrays, doubles and big numbers bulks, booleans integers. That is right
/// for the commands that are known to differ in no other way, not for any: some choose another shape.
///
/// Shape: `reply` is one whole framed reply without attributes.
/// Source: addReply* in networking.c of Redis 7.0.
void append_as_resp2(ByteView reply, Bytes& out, Nesting nesting = Nesting::kept);

}  // namespace larder
