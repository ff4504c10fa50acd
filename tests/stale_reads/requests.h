#pragma once

#include <optional>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "stale_reads/history.h"

namespace larder::stale {

/// What a key holds in that version: its name and the number, so that a value that belongs to another key is
/// seen.
[[nodiscard]] Bytes value_of(ByteView key, Version version);

/// The version in a reply to one of reads_of() or to a write; kAbsent for nulls and empty replies.
///
/// Errors: nothing for a value of another key. Errors of the server are not for here.
[[nodiscard]] std::optional<Version> version_in(ByteView reply, ByteView key);

/// The ways to read the key as a whole.
[[nodiscard]] std::vector<Bytes> reads_of(ByteView key, bool is_hash);

/// A write that brings back what it replaced; kAbsent deletes.
[[nodiscard]] Bytes write_of(ByteView key, bool is_hash, Version state, std::minstd_rand& random);

}  // namespace larder::stale
