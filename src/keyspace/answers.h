#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "keyspace/record.h"

namespace larder {

/// What a backend answered to one read of a key. What the bytes mean is known to those who fill and ask.
struct Answer {
  ByteView question;
  ByteView reply;
};

/// The value of an L1 record of type `answers`: several of them, the newest first.
///
///     [question size 4 | reply size 4 | stamp 8 | question | reply] ...
///
/// Each rests on the source it came from: workers with connections of their own may share a record.
///
/// Life: a view of the record's value.
class Answers {
 public:
  struct Entry {
    ByteView question;
    ByteView reply;
    Stamp stamp;
    ByteView whole;
  };

  explicit Answers(ByteView packed) noexcept : rest_(packed) {}

  /// The next one, or nothing at the end.
  [[nodiscard]] std::optional<Entry> next() noexcept {
    if (rest_.empty()) return std::nullopt;
    Header header;
    std::memcpy(&header, rest_.data(), sizeof header);
    const ByteView whole = rest_.substr(0, sizeof header + header.question_size + header.reply_size);
    rest_.remove_prefix(whole.size());
    return Entry{whole.substr(sizeof header, header.question_size),
                 whole.substr(sizeof header + header.question_size), header.stamp, whole};
  }

  [[nodiscard]] static std::size_t size_of(const Answer& answer) noexcept {
    return sizeof(Header) + answer.question.size() + answer.reply.size();
  }

  static void append(Bytes& packed, const Answer& answer, Stamp stamp) {
    const Header header{static_cast<std::uint32_t>(answer.question.size()),
                        static_cast<std::uint32_t>(answer.reply.size()), stamp};
    packed.append(reinterpret_cast<const char*>(&header), sizeof header);
    packed.append(answer.question).append(answer.reply);
  }

 private:
  struct Header {
    std::uint32_t question_size;
    std::uint32_t reply_size;
    Stamp stamp;
  };

  ByteView rest_;
};

}  // namespace larder
