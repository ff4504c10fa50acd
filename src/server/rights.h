#pragma once

#include "backend/backend.h"

namespace larder {

class Session;

/// What a Redis is asked before another user than Larder's own (docs/users.md) runs that command of the
/// server's: it changes nothing there, and is refused to whoever may not run the command. Empty: it is not
/// asked.
[[nodiscard]] ByteView question_for(const CommandSpec& spec) noexcept;

/// Runs a command of the server's when the second tier has allowed it, or answers why not.
///
/// Thread: the session's worker.
[[nodiscard]] Step ask_and_run(Session& session, const Request& request);

}  // namespace larder
