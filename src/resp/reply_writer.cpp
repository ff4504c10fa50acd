#include "resp/reply_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace larder {
namespace {

/// `value` as Redis prints a double: %.17g, with `inf`, `-inf` and `nan` in lower case.
ByteView format_real(double value, char (&text)[40]) noexcept {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.17g", value))};
}

}  // namespace

void ReplyWriter::header(char type, std::int64_t number) {
  char line[24];
  line[0] = type;
  char* const end = std::to_chars(line + 1, line + sizeof line - 2, number).ptr;
  end[0] = '\r';
  end[1] = '\n';
  out_->append(line, static_cast<std::size_t>(end + 2 - line));
}

void ReplyWriter::simple(ByteView text) {
  out_->push_back('+');
  out_->append(text).append("\r\n");
}

void ReplyWriter::error(ByteView text) {
  out_->push_back('-');
  const std::size_t start = out_->size();
  out_->append(text);
  for (std::size_t i = start; i < out_->size(); ++i)
    if ((*out_)[i] == '\r' || (*out_)[i] == '\n') (*out_)[i] = ' ';
  out_->append("\r\n");
}

void ReplyWriter::integer(std::int64_t value) {
  header(':', value);
}

void ReplyWriter::bulk(ByteView bytes) {
  header('$', static_cast<std::int64_t>(bytes.size()));
  out_->append(bytes).append("\r\n", 2);
}

void ReplyWriter::null() {
  out_->append(protocol_ == Protocol::resp3 ? "_\r\n" : "$-1\r\n");
}

void ReplyWriter::null_array() {
  out_->append(protocol_ == Protocol::resp3 ? "_\r\n" : "*-1\r\n");
}

void ReplyWriter::boolean(bool value) {
  if (protocol_ == Protocol::resp3)
    out_->append(value ? "#t\r\n" : "#f\r\n");
  else
    integer(value ? 1 : 0);
}

void ReplyWriter::real(double value) {
  char buffer[40];
  const ByteView text = format_real(value, buffer);
  if (protocol_ == Protocol::resp2) return bulk(text);
  out_->push_back(',');
  out_->append(text).append("\r\n");
}

void ReplyWriter::verbatim(ByteView format, ByteView text) {
  if (protocol_ == Protocol::resp2) return bulk(text);
  header('=', static_cast<std::int64_t>(format.size() + 1 + text.size()));
  out_->append(format).append(":").append(text).append("\r\n");
}

void ReplyWriter::begin_array(std::size_t count) {
  header('*', static_cast<std::int64_t>(count));
}

void ReplyWriter::begin_map(std::size_t pairs) {
  if (protocol_ == Protocol::resp3)
    header('%', static_cast<std::int64_t>(pairs));
  else
    header('*', static_cast<std::int64_t>(pairs * 2));
}

void ReplyWriter::begin_set(std::size_t count) {
  header(protocol_ == Protocol::resp3 ? '~' : '*', static_cast<std::int64_t>(count));
}

void ReplyWriter::begin_push(std::size_t count) {
  header(protocol_ == Protocol::resp3 ? '>' : '*', static_cast<std::int64_t>(count));
}

}  // namespace larder
