#pragma once

#include <string>

#include "base/clock.h"

namespace larder {

class Session;

/// A client as CLIENT LIST and CLIENT INFO show it.
///
/// Shape:  `name=value` in the order of Redis; no line end.
/// Thread: the session's worker.
[[nodiscard]] std::string client_line(const Session& session, UnixMs now_ms);

}  // namespace larder
