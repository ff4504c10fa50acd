#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "command/call.h"
#include "command/spec.h"
#include "keyspace/keyspace.h"

// Commands over a whole database. What their arguments mean and what they answer is written here, for the
// backends that run them: on the keyspace (run_on_keyspace) or elsewhere, in SQL.
namespace larder {

/// KEYS' and SCAN MATCH's pattern.
class KeyPattern {
 public:
  explicit KeyPattern(ByteView pattern) noexcept : pattern_(pattern) {}

  /// True for `*`, which also matches the empty key.
  [[nodiscard]] bool matches_all() const noexcept { return pattern_ == "*"; }
  [[nodiscard]] bool matches(ByteView key) const noexcept;

 private:
  ByteView pattern_;
};

/// The arguments of SCAN. Life: views into the call's arguments.
struct ScanArguments {
  std::uint64_t cursor = 0;
  std::size_t count = 10;
  KeyPattern pattern{"*"};
  std::optional<ByteView> type;  ///< in any case; an unknown one matches nothing

  [[nodiscard]] bool matches(ByteView key, Type key_type) const noexcept;
};

/// Errors: bad_cursor, not_an_integer, syntax.
[[nodiscard]] Result<ScanArguments> parse_scan(std::span<const ByteView> argv);

/// Checks the one option of FLUSHDB and FLUSHALL, ASYNC or SYNC; to us they are the same. Errors: syntax.
[[nodiscard]] Result<void> parse_flush(std::span<const ByteView> argv);

/// Errors: bad_first_db_index, bad_second_db_index, db_index_out_of_range.
[[nodiscard]] Result<std::pair<int, int>> parse_swapdb(std::span<const ByteView> argv);

/// SCAN's answer.
void append_scan(ReplyWriter& reply, std::uint64_t next_cursor, std::span<const Bytes> keys);

/// KEYS' answer.
void append_keys(ReplyWriter& reply, std::span<const Bytes> keys);

/// RANDOMKEY's answer; nothing for an empty database.
void append_random_key(ReplyWriter& reply, const std::optional<Bytes>& key);

/// Runs a command of Runner::keyspace on a keyspace that is the store itself.
void run_on_keyspace(const CommandSpec& spec, Call& call, Keyspace& keyspace);

}  // namespace larder
