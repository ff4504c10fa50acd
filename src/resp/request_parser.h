#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace larder {

/// What a client may send before it is cut off.
struct RequestLimits {
  std::int64_t max_bulk_bytes = 512ll << 20;  ///< proto-max-bulk-len
  bool authenticated = true;                  ///< before AUTH: 10 arguments of 16 KiB at most
};

/// Splits a byte stream into requests; sans-io, resumable at any byte.
///
/// A request that has not arrived whole is resumed where parsing stopped, so a million-element array that
/// trickles in is read once, not once per packet; memory grows with what arrived, never with what was
/// announced.
///
/// Thread: one session; no locking.
/// Source: RESP specification, "Sending commands"; limits and texts as Redis 7.0 networking.c.
class RequestParser {
 public:
  enum class Status {
    ready,      ///< argv() and consumed() are set
    need_more,  ///< call again with the same start and more bytes
    empty,      ///< `*0`, `*-1` or an empty line: consumed() bytes are to be skipped, there is no reply
  };

  /// Reads one request from `input`, which starts where the last finished request ended.
  ///
  /// Errors: one of the protocol codes of Errc; after any of them the session is closed.
  [[nodiscard]] Result<Status> parse(ByteView input, const RequestLimits& limits);

  /// The arguments; argv[0] is the command's name as sent. Life: as long as `input`, until the next parse().
  [[nodiscard]] std::span<const ByteView> argv() const noexcept { return argv_; }

  /// Bytes of `input` that the finished request took.
  [[nodiscard]] std::size_t consumed() const noexcept { return position_; }

  /// True when the request came as an inline line, not as an array: its bytes are not RESP.
  [[nodiscard]] bool is_inline() const noexcept { return inline_; }

  /// Bytes still missing of a bulk that has begun to arrive (0 if unknown): how far a read buffer may grow.
  [[nodiscard]] std::size_t missing_bytes() const noexcept { return missing_; }

  /// After need_more: the arguments of an array that have arrived whole.
  [[nodiscard]] std::vector<ByteView> partial_argv(ByteView input) const;

  /// The byte that stood where `$` was expected (Errc::expected_dollar).
  [[nodiscard]] char unexpected_byte() const noexcept { return unexpected_byte_; }

  /// Bytes of heap it holds, for CLIENT LIST and for giving them back.
  [[nodiscard]] std::size_t heap_bytes() const noexcept;

  /// Gives back what a large request left behind.
  void shrink() noexcept;

 private:
  struct Extent {
    std::size_t offset, size;
  };

  [[nodiscard]] bool parse_at_a_glance(ByteView input, const RequestLimits& limits);
  [[nodiscard]] Result<Status> parse_multibulk(ByteView input, const RequestLimits& limits);
  [[nodiscard]] Result<bool> parse_header(ByteView input, const RequestLimits& limits);
  [[nodiscard]] Result<bool> parse_bulk(ByteView input, const RequestLimits& limits);
  [[nodiscard]] Result<Status> parse_inline(ByteView input);
  void start_request() noexcept;

  std::size_t position_ = 0;         ///< next unread byte of the current request
  std::int64_t arguments_left_ = 0;  ///< of the current array
  std::int64_t bulk_length_ = -1;    ///< of the bulk whose `$` line was read; -1 = none
  std::size_t missing_ = 0;
  bool in_multibulk_ = false;
  bool inline_ = false;
  bool finished_ = false;
  char unexpected_byte_ = 0;
  std::vector<Extent> extents_;  ///< arguments so far: offsets survive a buffer that moves
  std::vector<ByteView> argv_;
  std::vector<Bytes> words_;  ///< unescaped words of an inline request
};

}  // namespace larder
