#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"

namespace larder {

/// What an upstream may send before its connection is given up.
struct ReplyLimits {
  std::size_t max_bytes = std::size_t{1} << 30;  ///< of one whole reply
};

/// Finds where a server's replies end, without building them; sans-io, resumable at any byte.
///
/// A reply that has not arrived whole is resumed where reading stopped: a bulk of 100 MB is skipped once, not
/// once per packet. RESP2 and RESP3 alike, pushes and attributes included; an attribute and its value are one
/// reply. Streamed strings and aggregates (`$?`, `*?`) are refused: no Redis sends them.
///
/// Thread: one connection; no locking.
/// Source: RESP3 specification; Redis 7.0 networking.c for what a server really sends.
class ReplyFramer {
 public:
  enum class Status {
    ready,      ///< size() and type() are set
    need_more,  ///< call again with the same start and more bytes
  };

  static constexpr std::size_t kMaxDepth = 32;  ///< Redis' deepest own reply, COMMAND, has 8 levels

  explicit ReplyFramer(ReplyLimits limits = {}) noexcept : limits_(limits) {}

  /// Reads one reply from `input`, which starts where the last finished reply ended.
  ///
  /// Errors: malformed_reply, reply_too_deep; after either the connection is out of step and must be closed.
  [[nodiscard]] Result<Status> parse(ByteView input) noexcept;

  /// Bytes of the finished reply.
  [[nodiscard]] std::size_t size() const noexcept { return position_; }

  /// The first byte of the finished reply's value: `+ - : $ * _ # , ( ! = % ~ >`; `>` is a push.
  [[nodiscard]] char type() const noexcept { return type_; }

  /// True when the finished reply holds, at any depth, a type that RESP2 has not.
  [[nodiscard]] bool needs_resp3() const noexcept { return needs_resp3_; }

  /// Forgets a half-read reply (the connection was replaced).
  void reset() noexcept { start_reply(); }

 private:
  struct Level {
    std::uint64_t left;  ///< values still to come
    bool attribute;      ///< its end completes nothing: the value it describes follows
  };

  enum class Progress { need_more, opened, completed, malformed, too_deep };

  [[nodiscard]] Progress read_line(ByteView input) noexcept;
  [[nodiscard]] Progress read_header(char type, ByteView text) noexcept;
  [[nodiscard]] Progress open_aggregate(char type, std::int64_t count) noexcept;
  [[nodiscard]] Progress skip_bulk(ByteView input) noexcept;
  void skip_short_bulks(ByteView input) noexcept;
  [[nodiscard]] Progress complete_value() noexcept;
  void start_reply() noexcept;

  const ReplyLimits limits_;
  std::size_t position_ = 0;   ///< next unread byte of the current reply
  std::size_t searched_ = 0;   ///< no line end before this offset
  std::size_t bulk_left_ = 0;  ///< bytes of the current bulk (line end included) still to skip
  std::size_t depth_ = 0;
  char type_ = 0;
  bool needs_resp3_ = false;
  bool finished_ = false;
  std::array<Level, kMaxDepth> levels_;
};

}  // namespace larder
