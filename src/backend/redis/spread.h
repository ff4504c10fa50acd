#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "resp/reply_writer.h"

namespace larder::redis {

/// How a command is run on several masters of a cluster, and what their replies make together.
enum class Spread : std::uint8_t {
  none,  ///< it is for one node
  // Its keys are handed to their slots.
  values,  ///< MGET: an array, in the order of the keys
  counts,  ///< DEL, EXISTS …: the sum
  pairs,   ///< MSET: OK if all said so
  // Every master runs it.
  sum,
  least,
  all_agree,     ///< any one reply, if none is an error
  any_succeeds,  ///< of SCRIPT KILL: the first one that is no error, or says more than that nothing runs
  every_flag,    ///< an array of flags: set where all are
  concatenate,   ///< the elements of all arrays
  pick,          ///< one of those that are not null
  unite,         ///< the elements of all arrays, each once
  sum_named,     ///< an array of names, each followed by a number: the sums
  keyspace,      ///< INFO keyspace: the sums of its numbers
  // One master after the other.
  scan,
  // The master of the slot that it names.
  of_slot,
};

/// What stands in the table under the lower-case `name`, which is `container|subcommand` for a subcommand.
[[nodiscard]] Spread find_spread(ByteView name) noexcept;

[[nodiscard]] constexpr bool splits_keys(Spread spread) noexcept {
  return spread == Spread::values || spread == Spread::counts || spread == Spread::pairs;
}

/// Appends the one reply that `parts` make; an error among them is the reply (but for any_succeeds).
///
/// Shape: every part is one whole reply in the client's protocol, at least one of them. `part_of_key` (values
/// only) says for each key of the request which part has it; a part's keys are in the order of the request.
void merge_replies(Spread spread, std::span<const Bytes> parts, std::span<const std::uint32_t> part_of_key,
                   ReplyWriter& out);

/// SCAN's cursor over all masters: the cursor of one of them, and a slot that names it.
///
/// Units: below 2^53 for cursors of a node below 2^39 (some clients read them as doubles).
struct ScanCursor {
  static constexpr int kSlotBits = 14;

  std::uint64_t of_node = 0;
  std::uint16_t slot = 0;

  [[nodiscard]] static constexpr ScanCursor unpack(std::uint64_t cursor) noexcept {
    return {cursor >> kSlotBits, static_cast<std::uint16_t>(cursor & ((1u << kSlotBits) - 1))};
  }
  [[nodiscard]] constexpr std::uint64_t pack() const noexcept { return of_node << kSlotBits | slot; }
};

/// Appends the reply of the node that `asked` names with its cursor made one over all masters; `next_slot`
/// names the master behind it, if there is one.
void merge_scan(ByteView part, ScanCursor asked, std::optional<std::uint16_t> next_slot, ReplyWriter& out);

}  // namespace larder::redis
