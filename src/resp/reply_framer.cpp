#include "resp/reply_framer.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace larder {
namespace {

constexpr std::size_t kMaxLine = 1 << 20;  // a script's error text may be long; a header never is
constexpr std::int64_t kMaxElements = std::int64_t{1} << 32;

std::size_t find_line_end(ByteView input, std::size_t from) noexcept {
  const void* found = std::memchr(input.data() + from, '\n', input.size() - from);
  if (found == nullptr) return ByteView::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
}

/// A length or an element count; -1 is null.
bool parse_count(ByteView text, std::int64_t& value) noexcept {
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && end == last && value >= -1;
}

/// The digit's value; 10 or more when it is none.
unsigned digit(char c) noexcept {
  return static_cast<unsigned char>(c - '0');
}

/// Bytes of the whole bulk of less than 100 bytes that `input` begins with; 0 when it does not.
std::size_t short_bulk_size(ByteView input) noexcept {
  if (input.size() < 6 || input[0] != '$' || digit(input[1]) > 9) return 0;
  std::size_t length = digit(input[1]);
  std::size_t at = 2;
  if (digit(input[at]) <= 9) length = length * 10 + digit(input[at++]);
  const std::size_t end = at + 2 + length;
  if (input.size() < end + 2 || input[at] != '\r' || input[at + 1] != '\n') return 0;
  return input[end] == '\r' && input[end + 1] == '\n' ? end + 2 : 0;
}

template <class Word>
bool same_word(const char* a, const char* b) noexcept {
  return std::memcmp(a, b, sizeof(Word)) == 0;  // of a constant size: two loads
}

/// Whether a bulk as long as the one before it, of `size` bytes, begins at `next`. Both are whole.
bool is_as_long(const char* next, std::size_t size) noexcept {
  const char* const previous = next - size;
  // "$3\r\n", or "$12\r" and "\n": the fifth byte belongs to the value where the length has one digit.
  return same_word<std::uint32_t>(next, previous) && (next[3] != '\r' || next[4] == '\n') &&
         same_word<std::uint16_t>(next + size - 2, previous + size - 2);
}

bool is_bulk(char type) noexcept {
  return type == '$' || type == '=' || type == '!';
}

}  // namespace

Result<ReplyFramer::Status> ReplyFramer::parse(ByteView input) noexcept {
  if (finished_) start_reply();
  for (;;) {
    const Progress progress = bulk_left_ > 0 ? skip_bulk(input) : read_line(input);
    if (progress == Progress::need_more) return Status::need_more;
    if (progress == Progress::too_deep) return Errc::reply_too_deep;
    if (progress == Progress::malformed || position_ > limits_.max_bytes) return Errc::malformed_reply;
    if (progress == Progress::opened) {
      if (depth_ > 0 && bulk_left_ == 0) skip_short_bulks(input);
      continue;
    }
    finished_ = true;
    return Status::ready;
  }
}

ReplyFramer::Progress ReplyFramer::read_line(ByteView input) noexcept {
  const std::size_t end = find_line_end(input, std::max(position_, searched_));
  if (end == ByteView::npos) {
    searched_ = input.size();
    return searched_ - position_ > kMaxLine ? Progress::malformed : Progress::need_more;
  }
  if (end < position_ + 2 || input[end - 1] != '\r') return Progress::malformed;
  const char type = input[position_];
  const ByteView text = input.substr(position_ + 1, end - position_ - 2);
  if (depth_ == 0) type_ = type;
  position_ = end + 1;
  const Progress progress = read_header(type, text);
  // The usual reply, a short bulk that is here already, ends without another turn of the loop.
  return progress == Progress::opened && bulk_left_ > 0 ? skip_bulk(input) : progress;
}

ReplyFramer::Progress ReplyFramer::read_header(char type, ByteView text) noexcept {
  switch (type) {
    case '_':
    case ',':
    case '#':
    case '(':
      needs_resp3_ = true;
      return complete_value();
    case '+':
    case '-':
    case ':':
      return complete_value();
    default:
      break;
  }
  std::int64_t count = 0;
  if (!parse_count(text, count)) return Progress::malformed;
  needs_resp3_ |= type != '$' && type != '*';
  if (!is_bulk(type)) return open_aggregate(type, count);
  if (count < 0) return type == '$' ? complete_value() : Progress::malformed;
  if (static_cast<std::size_t>(count) > limits_.max_bytes) return Progress::malformed;
  bulk_left_ = static_cast<std::size_t>(count) + 2;
  return Progress::opened;
}

ReplyFramer::Progress ReplyFramer::open_aggregate(char type, std::int64_t count) noexcept {
  const bool is_pairs = type == '%' || type == '|';
  if (!is_pairs && type != '*' && type != '~' && type != '>') return Progress::malformed;
  // A push stands between replies, never inside one (Redis 6 had a bug there; 7 has not).
  if (type == '>' && depth_ > 0) return Progress::malformed;
  if (count < 0) return type == '*' ? complete_value() : Progress::malformed;
  if (count > kMaxElements) return Progress::malformed;
  if (count == 0) return type == '|' ? Progress::opened : complete_value();
  if (depth_ == kMaxDepth) return Progress::too_deep;
  levels_[depth_++] = {static_cast<std::uint64_t>(is_pairs ? 2 * count : count), type == '|'};
  return Progress::opened;
}

ReplyFramer::Progress ReplyFramer::skip_bulk(ByteView input) noexcept {
  const std::size_t step = std::min(bulk_left_, input.size() - position_);
  position_ += step;
  bulk_left_ -= step;
  if (bulk_left_ > 0) return Progress::need_more;
  if (input[position_ - 2] != '\r' || input[position_ - 1] != '\n') return Progress::malformed;
  return complete_value();
}

/// The usual elements of a long list, without the turns of the loop that a value may need. The last one is
/// left, for it ends more than itself. Lists have runs of elements of one length: guessing it says where the
/// element after it begins before this one's length was read, which is four times as fast.
void ReplyFramer::skip_short_bulks(ByteView input) noexcept {
  std::uint64_t left = levels_[depth_ - 1].left;
  std::size_t at = position_;
  while (left > 1) {
    const std::size_t size = short_bulk_size(input.substr(at));
    if (size == 0) break;
    do {
      at += size;
      --left;
    } while (left > 1 && input.size() - at >= size && is_as_long(input.data() + at, size));
  }
  levels_[depth_ - 1].left = left;
  position_ = at;
}

/// A value has ended, and with it every aggregate whose last element it was.
ReplyFramer::Progress ReplyFramer::complete_value() noexcept {
  while (depth_ > 0) {
    Level& level = levels_[depth_ - 1];
    if (--level.left > 0) return Progress::opened;
    --depth_;
    if (level.attribute) return Progress::opened;
  }
  return Progress::completed;
}

void ReplyFramer::start_reply() noexcept {
  position_ = 0;
  searched_ = 0;
  bulk_left_ = 0;
  depth_ = 0;
  needs_resp3_ = false;
  finished_ = false;
}

}  // namespace larder
