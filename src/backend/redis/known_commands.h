#pragma once

#include <string>
#include <unordered_map>

#include "backend/backend.h"

namespace larder {
class ReplyCursor;
}

namespace larder::redis {

/// What a command may change, as far as L1 is concerned.
enum class Effect : std::uint8_t {
  none,
  keys,  ///< the keys it names
  all,   ///< anything
};

/// What Larder must know of a command to forward it.
struct Route {
  Effect effect = Effect::all;
  bool scalar_reply = false;      ///< see Flag::scalar_reply
  bool private_upstream = false;  ///< cannot share a connection
  KeyRange keys{};                ///< with Effect::keys, when the command is not in our table
};

/// Larder's table of commands, and what the upstream says of those that are not in it (modules, newer
/// versions).
///
/// Thread: one worker.
class KnownCommands {
 public:
  KnownCommands();

  /// Takes the upstream's reply to COMMAND; replaces what was learned before.
  void learn(ByteView command_reply);

  /// Until the upstream was asked, a command outside our table may change anything.
  [[nodiscard]] Route route(const Request& request) const;

 private:
  void learn_one(ReplyCursor& cursor);
  [[nodiscard]] const Route* find_learned(const std::string& name, std::span<const ByteView> argv) const;

  std::vector<Route> table_;  ///< parallel to all_commands()
  std::unordered_map<std::string, Route> learned_;
};

/// True when a command that can share a connection is asked not to (XREAD BLOCK).
[[nodiscard]] bool blocks(const Request& request);

/// Appends the keys a routed request writes.
void collect_written_keys(const Request& request, const Route& route, std::vector<KeyRef>& keys);

}  // namespace larder::redis
