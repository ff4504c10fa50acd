#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "command/call.h"

namespace larder {

/// Facts about a command, as bits. The first group is Redis' own (COMMAND INFO prints it), the second ours.
enum class Flag : std::uint32_t {
  write = 1u << 0,
  readonly = 1u << 1,
  denyoom = 1u << 2,
  admin = 1u << 3,
  noscript = 1u << 4,
  loading = 1u << 5,
  stale = 1u << 6,
  fast = 1u << 7,
  no_auth = 1u << 8,
  movablekeys = 1u << 9,
  skip_monitor = 1u << 10,
  skip_slowlog = 1u << 11,
  allow_busy = 1u << 12,
  pubsub = 1u << 13,
  blocking = 1u << 14,
  no_multi = 1u << 15,
  // ours
  scalar_reply = 1u << 24,      ///< its RESP3 reply becomes the RESP2 one by writing `$-1` for `_`
  container = 1u << 25,         ///< has subcommands, rows `name|subcommand`
  upstream_answers = 1u << 26,  ///< of Runner::connection: where the backend is a Redis, that runs it
  upstream_begins = 1u << 28,   ///< of Runner::connection: the reply of a Redis behind it is part of it
  runs_in_multi = 1u << 27,     ///< between MULTI and EXEC it is run at once, not queued
};

class Flags {
 public:
  constexpr Flags() noexcept = default;
  constexpr Flags(Flag flag) noexcept : bits_(static_cast<std::uint32_t>(flag)) {}  // NOLINT: reads as a set
  [[nodiscard]] constexpr bool has(Flag flag) const noexcept {
    return bits_ & static_cast<std::uint32_t>(flag);
  }
  [[nodiscard]] friend constexpr Flags operator|(Flags a, Flags b) noexcept {
    Flags both;
    both.bits_ = a.bits_ | b.bits_;
    return both;
  }

 private:
  std::uint32_t bits_ = 0;
};
[[nodiscard]] constexpr Flags operator|(Flag a, Flag b) noexcept {
  return Flags(a) | Flags(b);
}

/// Where the keys stand: first and last argument index, every `step`-th; last < 0 counts from the end. {} =
/// none.
struct KeyRange {
  int first = 0;
  int last = 0;
  int step = 0;
};

/// Who runs a command.
enum class Runner : std::uint8_t {
  data,        ///< a handler over the records of the keys it names
  keyspace,    ///< the backend as a whole: DBSIZE, SCAN, FLUSHDB …
  connection,  ///< the server: PING, CLIENT, INFO …
};

using Handler = void (*)(Call&, Records&);

/// Collects the keys of a call where a KeyRange cannot say it (another database, MOVE and COPY).
using KeyFinder = void (*)(const Call&, std::vector<KeyRef>&);

/// One row is everything the server knows about a command.
/// Source: arity, flags and key positions as COMMAND INFO of Redis 7.0.15 prints them.
struct CommandSpec {
  ByteView name;  ///< lower case; `container|subcommand` for subcommands
  int arity;      ///< name included; n = exactly n, -n = at least n
  Flags flags;
  KeyRange keys;
  Runner runner;
  Handler run = nullptr;          ///< data commands only
  KeyFinder find_keys = nullptr;  ///< null: `keys` says it all

  [[nodiscard]] constexpr bool accepts(std::size_t argument_count) const noexcept {
    const int count = static_cast<int>(argument_count);
    return arity >= 0 ? count == arity : count >= -arity;
  }
};

/// Every command, sorted by name; a container's row stands before its subcommands.
[[nodiscard]] std::span<const CommandSpec> all_commands() noexcept;

/// The row of a top-level command, any case; null when there is none. Container rows are not resolved
/// further.
[[nodiscard]] const CommandSpec* find_command(ByteView name) noexcept;

/// Whether it is the row of a subcommand.
[[nodiscard]] constexpr bool is_subcommand(const CommandSpec& spec) noexcept {
  return spec.name.find('|') != ByteView::npos;
}

/// The row `container|subcommand`, any case; null when there is none.
[[nodiscard]] const CommandSpec* find_subcommand(const CommandSpec& container, ByteView subcommand) noexcept;

/// The row that a whole request would run, its subcommand resolved; null when there is none.
[[nodiscard]] const CommandSpec* find_row(std::span<const ByteView> argv) noexcept;

/// Appends the keys of `call` (whose arity was checked) to `keys`.
void collect_keys(const CommandSpec& spec, const Call& call, std::vector<KeyRef>& keys);

}  // namespace larder
