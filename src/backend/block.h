#pragma once

#include "backend/backend.h"
#include "command/arguments.h"
#include "command/error_reply.h"
#include "resp/request_parser.h"

namespace larder {

/// A transaction reaches a backend as EXEC's request whose `raw` is all of it: MULTI, the queued commands,
/// EXEC.
inline constexpr ByteView kBlockBegin = "*1\r\n$5\r\nMULTI\r\n";
inline constexpr ByteView kBlockEnd = "*1\r\n$4\r\nEXEC\r\n";

[[nodiscard]] inline bool is_transaction(const Request& request) noexcept {
  return request.spec != nullptr && request.spec->name == "exec";
}

/// Shows the queued commands of a transaction, one request each.
///
/// Life: what is shown lives as long as `exec.raw`, but for `argv` itself, which dies with the visit.
template <class Visit>
void for_each_queued(const Request& exec, Visit visit) {
  RequestParser parser;
  ByteView rest =
      exec.raw.substr(kBlockBegin.size(), exec.raw.size() - kBlockBegin.size() - kBlockEnd.size());
  while (!rest.empty()) {
    const auto status = parser.parse(rest, {.max_bulk_bytes = INT64_MAX});
    if (!status || *status != RequestParser::Status::ready) return;
    const ByteView raw = rest.substr(0, parser.consumed());
    visit(Request{find_row(parser.argv()), parser.argv(), raw, exec.now_ms, exec.caller, exec.reply});
    rest.remove_prefix(raw.size());
  }
}

/// A queued SELECT: what follows it in the transaction is about that database.
inline void run_queued_select(Call& call, int& db) {
  const Result<int> chosen = database_argument(call.argv[1]);
  if (!chosen) return append_error(call, chosen.error());
  db = *chosen;
  call.reply.ok();
}

}  // namespace larder
