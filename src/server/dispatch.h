#pragma once

#include "backend/backend.h"

namespace larder {

class Session;

/// Finds out who runs a request, and lets it run: the server itself, the backend, EXEC later on, or nobody as
/// long as CLIENT PAUSE lasts. What may not run is answered with the reason.
///
/// Shape:  `request.spec` is null before; the returned Step is that of who has run it.
/// Life:   the session may be closed behind it, but is alive.
/// Thread: the session's worker.
[[nodiscard]] Step dispatch(Session& session, Request& request);

/// Hands a request to the backend, past MULTI; what a client keeps (CLIENT TRACKING) is noted.
[[nodiscard]] Step execute(Session& session, const Request& request);

}  // namespace larder
