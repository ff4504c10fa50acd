#pragma once

#include <functional>

#include "backend/backend.h"

namespace larder {

class Session;

/// Called once with the place of the request among the replies, which is to be filled and finished, and what
/// the second tier said.
using AnswerUse = std::function<void(Ticket ticket, ByteView answer)>;

/// Asks the second tier, with the client's rights, before a request for the server itself is answered. All
/// that came before is answered first, as it may change the rights, and what follows waits.
///
/// Shape:  `question` is a request in RESP, `request.spec` its row.
/// Errors: when it cannot be asked the reason was appended to request.reply (Step::done).
/// Thread: the session's worker.
[[nodiscard]] Step ask(Session& session, const Request& request, ByteView question, AnswerUse use);

}  // namespace larder
