#pragma once

#include <boost/system/result.hpp>

namespace larder {

/// Everything that can go wrong on the data path; its text is written once, in command/error_reply.cpp.
enum class Errc {
  ok = 0,
  // protocol (the connection is closed after the reply)
  bad_multibulk_length,
  unauthenticated_multibulk_length,
  expected_dollar,
  bad_bulk_length,
  unauthenticated_bulk_length,
  inline_too_long,
  multibulk_count_too_long,
  bulk_length_too_long,
  unbalanced_quotes,
  malformed_reply,
  reply_too_deep,
  // arguments
  syntax,
  not_an_integer,
  not_a_float,
  wrong_type,
  invalid_expire,
  out_of_range,
  overflow,
  string_too_long,
  no_such_key,
  same_object,
  bad_db_index,
  db_index_out_of_range,
  not_an_int,
  bad_first_db_index,
  bad_second_db_index,
  bad_cursor,
  offset_out_of_range,
  decrement_overflow,
  not_finite,
  nx_with_others,
  gt_with_lt,
  lcs_of_non_strings,
  lcs_len_and_idx,
  lcs_too_large,
  idle_time_not_tracked,
  invalid_command,
  invalid_argument_count,
  no_key_arguments,
  bad_tag,
  tag_too_long,
  too_many_tags,
  // state
  out_of_memory,
  // backends
  backend_unavailable,
  backend_timeout,
  backend_conflict,
  backend_failed,
  not_supported_here,
};

boost::system::error_code make_error_code(Errc code) noexcept;

/// A value or the reason why there is none. Used where failure is normal traffic (style.md 4).
template <class T>
using Result = boost::system::result<T>;

}  // namespace larder

template <>
struct boost::system::is_error_code_enum<larder::Errc> : std::true_type {};
