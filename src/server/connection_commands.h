#pragma once

#include "backend/backend.h"

namespace larder {

class Session;

/// A command that the server runs itself (Runner::connection). Answers at once, or defers and answers when
/// other workers have.
using ConnectionHandler = Step (*)(Session&, const Request&);

/// The function of a row with Runner::connection; null when the server has none.
[[nodiscard]] ConnectionHandler find_connection_handler(const CommandSpec& spec) noexcept;

/// The Redis that clients are told they talk to: the one whose commands and texts are matched.
inline constexpr ByteView kRedisVersion = "7.0.15";

/// True for what CLIENT SETNAME takes: printable ASCII without spaces.
[[nodiscard]] bool is_valid_client_name(ByteView name) noexcept;

}  // namespace larder
