#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "keyspace/keyspace.h"

namespace larder {

class Server;

/// Puts the settings of clients and logs in force that may change later.
void apply_live_settings(Server& server, const config::Settings& settings);

/// What became of the keys that differ between two readings of the configuration.
struct Reloaded {
  std::vector<std::string> in_force;
  std::vector<std::string> after_restart;  ///< they cannot change while the process runs
};

/// Puts what has changed in force, as far as that can be. `last` is what was read before, `started` what the
/// process was started with. A value that CONFIG SET has changed stays as long as its key says the same as
/// before.
[[nodiscard]] Reloaded reload(Server& server, const config::Settings& started, const config::Settings& last,
                              const config::Settings& fresh);

[[nodiscard]] Eviction eviction_of(config::Eviction setting) noexcept;

}  // namespace larder
