#include "server/connection_commands.h"

#include <algorithm>
#include <vector>

namespace larder {
namespace {

/// Indexed like all_commands().
std::vector<ConnectionHandler> index_by_row() {
  std::vector<ConnectionHandler> handlers(all_commands().size(), nullptr);
  for (const auto family : {session_commands(), client_commands(), cluster_commands(), config_commands(),
                            info_commands(), larder_commands(), observation_commands(), process_commands(),
                            subscription_commands(), tracking_commands(), transaction_commands()}) {
    for (const ConnectionCommand& command : family) {
      const auto row = std::ranges::find(all_commands(), command.name, &CommandSpec::name);
      handlers[static_cast<std::size_t>(row - all_commands().begin())] = command.run;
    }
  }
  return handlers;
}

}  // namespace

ConnectionHandler find_connection_handler(const CommandSpec& spec) noexcept {
  static const std::vector<ConnectionHandler> handlers = index_by_row();
  return handlers[static_cast<std::size_t>(&spec - all_commands().data())];
}

}  // namespace larder
