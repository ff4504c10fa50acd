#include "resp/reply_framer.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace larder {
namespace {

constexpr std::size_t kMaxLine = 1 << 20;  // a script's error text may be long; a header never is
constexpr std::int64_t kMaxElements = std::int64_t{1} << 32;
constexpr std::size_t kNoLine = static_cast<std::size_t>(-1);

std::size_t find_line_end(ByteView input, std::size_t from) noexcept {
  const void* found = std::memchr(input.data() + from, '\n', input.size() - from);
  if (found == nullptr) return kNoLine;
  return static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
}

/// A length or an element count; -1 is null.
bool parse_count(ByteView text, std::int64_t& value) noexcept {
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && end == last && value >= -1;
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
    if (progress == Progress::opened) continue;
    finished_ = true;
    return Status::ready;
  }
}

ReplyFramer::Progress ReplyFramer::read_line(ByteView input) noexcept {
  const std::size_t end = find_line_end(input, std::max(position_, searched_));
  if (end == kNoLine) {
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
      has_null_ = true;
      return complete_value();
    case '+':
    case '-':
    case ':':
    case ',':
    case '#':
    case '(':
      return complete_value();
    default:
      break;
  }
  std::int64_t count = 0;
  if (!parse_count(text, count)) return Progress::malformed;
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
  has_null_ = false;
  finished_ = false;
}

void append_as_resp2(ByteView reply, Bytes& out) {
  while (!reply.empty()) {
    const std::size_t line = find_line_end(reply, 0) + 1;
    if (reply[0] == '_') {
      out.append("$-1\r\n");
      reply.remove_prefix(line);
      continue;
    }
    std::int64_t length = -1;
    const bool has_body = is_bulk(reply[0]) && parse_count(reply.substr(1, line - 3), length) && length >= 0;
    const std::size_t size = line + (has_body ? static_cast<std::size_t>(length) + 2 : 0);
    out.append(reply.substr(0, size));
    reply.remove_prefix(size);
  }
}

}  // namespace larder
