#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace larder {

/// Walks through one whole reply (as ReplyFramer found it), value by value, parents before their elements.
///
/// For the few replies that Larder itself must understand: pushes, COMMAND, handshakes.
class ReplyCursor {
 public:
  struct Value {
    char type;           ///< the RESP type byte
    ByteView text;       ///< of scalars and bulks; empty for null
    std::int64_t count;  ///< elements that follow (a map of n has 2n); -1 for null; 0 for scalars

    [[nodiscard]] bool is_null() const noexcept { return type == '_' || count < 0; }
    [[nodiscard]] bool is_error() const noexcept { return type == '-' || type == '!'; }
    [[nodiscard]] std::int64_t integer() const noexcept;  ///< 0 when the text is no number
  };

  explicit ReplyCursor(ByteView reply) noexcept : rest_(reply) {}

  /// The next value; attributes are passed over. Null behind the last one: an upstream may answer in another
  /// shape than was expected of it.
  [[nodiscard]] Value next() noexcept;

  /// Passes over the header of an aggregate: its elements come next.
  void skip_header() noexcept { static_cast<void>(next()); }

  /// Passes over the next value and all that is in it.
  void skip() noexcept;

  /// Passes over the `count` next values.
  void skip(std::int64_t count) noexcept {
    while (count-- > 0) skip();
  }

  /// The bytes of the next value and all that is in it.
  [[nodiscard]] ByteView take() noexcept {
    const ByteView before = rest_;
    skip();
    return before.substr(0, before.size() - rest_.size());
  }

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

 private:
  ByteView rest_;
};

}  // namespace larder
