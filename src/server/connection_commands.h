#pragma once

#include <span>

#include "backend/backend.h"

namespace larder {

class Session;

/// A command that the server runs itself (Runner::connection). Answers at once, or defers and answers when
/// other workers have.
using ConnectionHandler = Step (*)(Session&, const Request&);

/// The function of a row with Runner::connection; null when the server has none.
[[nodiscard]] ConnectionHandler find_connection_handler(const CommandSpec& spec) noexcept;

/// The user whose password is server.requirepass.
inline constexpr ByteView kOwnUser = "default";

/// A row's name and its function.
struct ConnectionCommand {
  ByteView name;
  ConnectionHandler run;
};

// The families, a file each. Shape: every name is that of a row of the command table.
[[nodiscard]] std::span<const ConnectionCommand> session_commands() noexcept;       ///< PING, AUTH, HELLO …
[[nodiscard]] std::span<const ConnectionCommand> client_commands() noexcept;        ///< CLIENT
[[nodiscard]] std::span<const ConnectionCommand> cluster_commands() noexcept;       ///< CLUSTER
[[nodiscard]] std::span<const ConnectionCommand> config_commands() noexcept;        ///< CONFIG
[[nodiscard]] std::span<const ConnectionCommand> info_commands() noexcept;          ///< INFO
[[nodiscard]] std::span<const ConnectionCommand> larder_commands() noexcept;        ///< LARDER
[[nodiscard]] std::span<const ConnectionCommand> observation_commands() noexcept;   ///< SLOWLOG, MONITOR …
[[nodiscard]] std::span<const ConnectionCommand> process_commands() noexcept;       ///< TIME, SHUTDOWN …
[[nodiscard]] std::span<const ConnectionCommand> subscription_commands() noexcept;  ///< SUBSCRIBE …
[[nodiscard]] std::span<const ConnectionCommand> tracking_commands() noexcept;      ///< CLIENT TRACKING …
[[nodiscard]] std::span<const ConnectionCommand> transaction_commands() noexcept;   ///< MULTI, EXEC …

/// What `CONTAINER HELP` answers, for every container.
Step answer_help(Session& session, const Request& request);

/// The Redis that clients are told they talk to: the one whose commands and texts are matched.
inline constexpr ByteView kRedisVersion = "7.0.15";

/// True for what CLIENT SETNAME takes: printable ASCII without spaces.
[[nodiscard]] bool is_valid_client_name(ByteView name) noexcept;

}  // namespace larder
