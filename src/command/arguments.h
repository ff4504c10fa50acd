#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

// Arguments that more than one command takes.
namespace larder {

/// Errors: not_an_integer.
[[nodiscard]] Result<std::int64_t> integer_argument(ByteView text);

/// A cursor of SCAN and its kin. Errors: bad_cursor.
[[nodiscard]] Result<std::uint64_t> cursor_argument(ByteView text);

/// A database a command may name.
///
/// Errors: not_an_integer, not_an_int (not 32 bits), db_index_out_of_range.
[[nodiscard]] Result<int> database_argument(ByteView text);

enum class TimeUnit : std::uint8_t { seconds, milliseconds };

/// A moment as the options of SET and GETEX give it: `base_ms` is the present for a duration, 0 for a moment.
///
/// Errors: not_an_integer, invalid_expire (zero, negative or beyond 64 bits).
/// Source: Redis t_string.c getExpireMillisecondsOrReply().
[[nodiscard]] Result<UnixMs> expiry_argument(ByteView text, TimeUnit unit, UnixMs base_ms);

/// What SET and GETEX say about the key's expiry.
enum class ExpiryOption : std::uint8_t { none, keep_ttl, persist, ex, px, exat, pxat };

enum class Condition : std::uint8_t { none, if_absent, if_present };

struct WriteOptions {
  Condition condition = Condition::none;
  bool returns_old_value = false;
  ExpiryOption expiry = ExpiryOption::none;
  ByteView expiry_text;  ///< of EX, PX, EXAT and PXAT
  /// The words behind TAGS and its number, not checked; none when the option is not given.
  std::optional<std::span<const ByteView>> tags;
};

/// The options of SET behind key and value; of two of the same kind the last one counts.
///
/// Errors: syntax, not_an_integer (the number of TAGS).
[[nodiscard]] Result<WriteOptions> parse_set_options(std::span<const ByteView> words);

/// The options of GETEX behind the key. Errors: syntax.
[[nodiscard]] Result<WriteOptions> parse_getex_options(std::span<const ByteView> words);

/// The moment that the options name; kNoExpiry when they name none.
[[nodiscard]] Result<UnixMs> expiry_of(const WriteOptions& options, UnixMs now_ms);

/// What must hold of the present expiry for EXPIRE and its kin to act.
struct ExpireConditions {
  bool nx = false, xx = false, gt = false, lt = false;

  /// Whether a key that expires at `present` (kNoExpiry: never) may expire at `wanted`.
  [[nodiscard]] bool allow(UnixMs present, UnixMs wanted) const noexcept;
};

/// The first word that is no option of EXPIRE.
[[nodiscard]] std::optional<ByteView> find_unsupported_option(std::span<const ByteView> words) noexcept;

/// The options of EXPIRE behind the time. Shape: none is unsupported. Errors: nx_with_others, gt_with_lt.
[[nodiscard]] Result<ExpireConditions> parse_expire_conditions(std::span<const ByteView> words);

}  // namespace larder
