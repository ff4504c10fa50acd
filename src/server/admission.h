#pragma once

#include "backend/backend.h"

namespace larder {

class Session;

/// What is checked of a request before it runs or is queued: that there is such a command, its number of
/// arguments, the login, and whether a transaction, a subscriber or a user of Redis may have it. False: it
/// may not run, and the reason was answered.
///
/// Shape:  `request.spec` is null before, and its row of the command table behind; it stays null for what the
///         backend may know.
/// Life:   the session may be about to close (HTTP), but it is open.
/// Thread: the session's worker.
[[nodiscard]] bool admit(Session& session, Request& request);

}  // namespace larder
