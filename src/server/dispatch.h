#pragma once

#include <optional>

#include "backend/backend.h"

namespace larder {

class Session;

/// Finds out who runs a request, and lets it run: the server itself, the backend, EXEC later on, or nobody as
/// long as CLIENT PAUSE lasts.
///
/// Shape:  `request.spec` is null before; the returned Step is that of who has run it. Nothing: it may not
/// run,
///         and the reason was answered.
/// Life:   the session may be closed behind it, but is alive.
/// Thread: the session's worker.
[[nodiscard]] std::optional<Step> dispatch(Session& session, Request& request);

/// Hands a request to the backend, past MULTI; what a client keeps (CLIENT TRACKING) is noted.
[[nodiscard]] Step execute(Session& session, const Request& request);

}  // namespace larder
