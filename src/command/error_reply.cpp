#include "command/error_reply.h"

#include <algorithm>

#include <fmt/format.h>

namespace larder {
namespace {

struct ErrorText {
  Errc code;
  ByteView text;
};

constexpr ErrorText kTexts[] = {
    {Errc::ok, "ERR no error"},
    {Errc::bad_multibulk_length, "ERR Protocol error: invalid multibulk length"},
    {Errc::unauthenticated_multibulk_length, "ERR Protocol error: unauthenticated multibulk length"},
    {Errc::expected_dollar, "ERR Protocol error: expected '$'"},
    {Errc::bad_bulk_length, "ERR Protocol error: invalid bulk length"},
    {Errc::unauthenticated_bulk_length, "ERR Protocol error: unauthenticated bulk length"},
    {Errc::inline_too_long, "ERR Protocol error: too big inline request"},
    {Errc::multibulk_count_too_long, "ERR Protocol error: too big mbulk count string"},
    {Errc::bulk_length_too_long, "ERR Protocol error: too big bulk count string"},
    {Errc::unbalanced_quotes, "ERR Protocol error: unbalanced quotes in request"},
    {Errc::malformed_reply, "ERR the backend sent a malformed reply"},
    {Errc::reply_too_deep, "ERR the backend sent a reply that is nested too deeply"},
    {Errc::syntax, "ERR syntax error"},
    {Errc::not_an_integer, "ERR value is not an integer or out of range"},
    {Errc::not_a_float, "ERR value is not a valid float"},
    {Errc::wrong_type, "WRONGTYPE Operation against a key holding the wrong kind of value"},
    {Errc::invalid_expire, "ERR invalid expire time"},
    {Errc::out_of_range, "ERR value is out of range"},
    {Errc::overflow, "ERR increment or decrement would overflow"},
    {Errc::string_too_long, "ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
    {Errc::no_such_key, "ERR no such key"},
    {Errc::same_object, "ERR source and destination objects are the same"},
    {Errc::bad_db_index, "ERR invalid DB index"},
    {Errc::db_index_out_of_range, "ERR DB index is out of range"},
    {Errc::not_an_int, "ERR value is out of range, value must between -2147483648 and 2147483647"},
    {Errc::bad_first_db_index, "ERR invalid first DB index"},
    {Errc::bad_second_db_index, "ERR invalid second DB index"},
    {Errc::bad_cursor, "ERR invalid cursor"},
    {Errc::offset_out_of_range, "ERR offset is out of range"},
    {Errc::decrement_overflow, "ERR decrement would overflow"},
    {Errc::not_finite, "ERR increment would produce NaN or Infinity"},
    {Errc::nx_with_others, "ERR NX and XX, GT or LT options at the same time are not compatible"},
    {Errc::gt_with_lt, "ERR GT and LT options at the same time are not compatible"},
    {Errc::lcs_of_non_strings, "ERR The specified keys must contain string values"},
    {Errc::lcs_len_and_idx, "ERR If you want both the length and indexes, please just use IDX."},
    {Errc::lcs_too_large, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"},
    {Errc::idle_time_not_tracked,
     "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
     "between policies at runtime LRU and LFU data will take some time to adjust."},
    {Errc::invalid_command, "ERR Invalid command specified"},
    {Errc::invalid_argument_count, "ERR Invalid number of arguments specified for command"},
    {Errc::no_key_arguments, "ERR The command has no key arguments"},
    {Errc::bad_tag, "ERR a tag has 1 to 8 segments joined by ':', and none of them is empty"},
    {Errc::tag_too_long, "ERR a tag has at most 512 bytes"},
    {Errc::too_many_tags, "ERR a key has, and a command names, at most 32 tags"},
    {Errc::out_of_memory, "OOM command not allowed when used memory > 'maxmemory'."},
    {Errc::backend_unavailable, "ERR the backend is not available"},
    {Errc::backend_timeout, "ERR the backend did not answer in time"},
    {Errc::backend_conflict, "ERR the key changed too often while the command ran, try again"},
    {Errc::backend_failed, "ERR the backend failed"},
    {Errc::not_supported_here, "ERR this command is not supported on this backend"},
};

/// Every code has its row, at its own number.
consteval bool are_in_order(std::span<const ErrorText> texts) {
  for (std::size_t i = 0; i < texts.size(); ++i)
    if (static_cast<std::size_t>(texts[i].code) != i) return false;
  return texts.size() == static_cast<std::size_t>(Errc::not_supported_here) + 1;
}
static_assert(are_in_order(kTexts));

// Redis cuts what it quotes of a client's words here.
constexpr std::size_t kQuotedBytes = 128;

/// What C's %.*s prints of the bytes: it ends at a NUL.
ByteView as_c_string(ByteView bytes, std::size_t limit) noexcept {
  return bytes.substr(0, std::min(bytes.find('\0'), limit));
}

Bytes upper_case(ByteView lower) {
  Bytes upper(lower);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  return upper;
}

Bytes quote_arguments(std::span<const ByteView> arguments) {
  Bytes quoted;
  for (const ByteView argument : arguments) {
    if (quoted.size() >= kQuotedBytes) break;
    quoted += fmt::format("'{}' ", as_c_string(argument, kQuotedBytes - quoted.size()));
  }
  return quoted;
}

}  // namespace

ByteView error_text(Errc code) noexcept {
  return kTexts[static_cast<std::size_t>(code)].text;
}

void append_error(ReplyWriter& reply, Errc code) {
  reply.error(error_text(code));
}

void append_error(ReplyWriter& reply, boost::system::error_code error) {
  append_error(reply, static_cast<Errc>(error.value()));
}

void append_error(const Call& call, boost::system::error_code error) {
  if (error != Errc::invalid_expire) return append_error(call.reply, error);
  call.reply.error(fmt::format("ERR invalid expire time in '{}' command", lower_case(call.argv[0])));
}

void append_unknown_command(ReplyWriter& reply, std::span<const ByteView> argv) {
  reply.error(fmt::format("ERR unknown command '{}', with args beginning with: {}",
                          as_c_string(argv[0], kQuotedBytes), quote_arguments(argv.subspan(1))));
}

void append_unknown_subcommand(ReplyWriter& reply, ByteView container, ByteView subcommand) {
  reply.error(fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", as_c_string(subcommand, kQuotedBytes),
                          upper_case(container)));
}

void append_subcommand_syntax(ReplyWriter& reply, std::span<const ByteView> argv) {
  reply.error(fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
                          as_c_string(argv[1], kQuotedBytes), upper_case(argv[0])));
}

void append_wrong_arity(ReplyWriter& reply, ByteView name) {
  reply.error(fmt::format("ERR wrong number of arguments for '{}' command", name));
}

void append_unsupported_option(ReplyWriter& reply, ByteView option) {
  reply.error(fmt::format("ERR Unsupported option {}", as_c_string(option, option.size())));
}

}  // namespace larder
