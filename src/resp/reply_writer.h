#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "resp/protocol.h"

namespace larder {

/// Appends RESP replies to a byte buffer, in the client's protocol version.
///
/// Shape:  every call appends one complete value, but for the `begin_` calls, which are followed by their
/// elements. Life:   borrows the buffer; nothing is flushed here. Thread: one session; no locking. Source:
/// RESP3 specification; RESP2 forms as Redis networking.c (addReplyNull, addReplyDouble …).
class ReplyWriter {
 public:
  ReplyWriter(Bytes& out, Protocol protocol) noexcept : out_(&out), protocol_(protocol) {}

  void simple(ByteView text);  ///< +text
  void ok() { simple("OK"); }
  void error(ByteView text);                         ///< -text; line breaks become spaces
  void integer(std::int64_t value);                  ///< :n
  void bulk(ByteView bytes);                         ///< $n
  void null();                                       ///< _ or $-1
  void null_array();                                 ///< _ or *-1
  void boolean(bool value);                          ///< #t or :1
  void real(double value);                           ///< , or a bulk
  void verbatim(ByteView format, ByteView text);     ///< =n txt: or a bulk
  void begin_array(std::size_t count);               ///< *n
  void begin_map(std::size_t pairs);                 ///< %n or *2n
  void begin_set(std::size_t count);                 ///< ~n or *n
  void begin_push(std::size_t count);                ///< >n or *n
  void raw(ByteView reply) { out_->append(reply); }  ///< a complete reply, verbatim

  [[nodiscard]] Protocol protocol() const noexcept { return protocol_; }
  void set_protocol(Protocol protocol) noexcept { protocol_ = protocol; }
  [[nodiscard]] Bytes& buffer() noexcept { return *out_; }

 private:
  void header(char type, std::int64_t number);

  Bytes* out_;
  Protocol protocol_;
};

}  // namespace larder
