#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "backend/backend.h"
#include "backend/redis/cached_read.h"
#include "backend/redis/request_keys.h"
#include "backend/redis/spread.h"

namespace larder {
class ReplyCursor;
}

namespace larder::redis {

/// What a command may change, as far as L1 is concerned.
enum class Effect : std::uint8_t {
  none,
  told,  ///< the keys that its reply names
  keys,  ///< the keys it names
  all,   ///< anything
};

/// Why a command cannot share a connection.
enum class Private : std::uint8_t {
  no,               ///< it can
  blocks,           ///< it waits
  may_block,        ///< if it is told to: see asks_to_block()
  watches,          ///< WATCH, UNWATCH and, once something is watched, EXEC
  subscribes,       ///< and unsubscribes
  kills,            ///< it ends the script that all others wait for
  not_for_clients,  ///< it is between servers, or about the connection that Larder itself has
};

/// What a command has to do with tags.
enum class TagRole : std::uint8_t {
  none,
  sets,     ///< SET, perhaps with TAGS
  adds,     ///< TAGADD
  removes,  ///< TAGREM
  lists,    ///< TAGLIST
  walks,    ///< TAGKEYS
  sweeps,   ///< TAGINVALIDATE, TAGCOUNT
  carries,  ///< RENAME, RENAMENX, COPY: tags go along
  moves,    ///< MOVE: the same
  writes,   ///< other writes: a key that is gone may come back, without its tags
  ends,     ///< DEL, UNLINK, GETDEL
  shows,    ///< KEYS, SCAN
  sizes,    ///< DBSIZE
  in_slot,  ///< CLUSTER COUNTKEYSINSLOT, GETKEYSINSLOT
  picks,    ///< RANDOMKEY
  block,    ///< EXEC, when one of the queued commands has to do with tags
  own,      ///< Larder's own call of a script
};

/// Whether the command is about all keys of a tag, which in a cluster are in many slots.
[[nodiscard]] constexpr bool concerns_all_of_tag(TagRole role) noexcept {
  return role == TagRole::sweeps || role == TagRole::walks;
}

/// What Larder must know of a command to forward it.
struct Route {
  Effect effect = Effect::all;
  bool readonly = false;      ///< running it twice is running it once
  bool scalar_reply = false;  ///< see Flag::scalar_reply
  Private needs = Private::no;
  bool runs_script = false;             ///< it may keep Redis busy
  KeyRange keys{};                      ///< where its keys stand, if a range can say it
  const CachedRead* read = nullptr;     ///< L1 may answer it
  KeyRule key_rule = KeyRule::range;    ///< how its keys are found when `keys` cannot say it
  std::uint32_t queued = 0;             ///< of EXEC: the commands of its block
  bool selects = false;                 ///< of EXEC: its block has SELECT
  bool tells = false;                   ///< of EXEC: its block has what is Effect::told
  bool has_all_of_tag = false;          ///< of EXEC: its block has what concerns_all_of_tag() means
  bool repeats_keys = false;            ///< of EXEC: a key is named twice
  bool spans_slots = false;             ///< of EXEC: its keys are in several slots
  std::optional<ByteView> first_key{};  ///< of EXEC; lives as long as its request
  Spread spread = Spread::none;         ///< how a cluster runs it when it is not for one slot
  TagRole tags = TagRole::none;
  int arity = 0;  ///< of learned ones, as in CommandSpec; 0: not known

  /// False when Redis will say that the number of arguments is wrong.
  [[nodiscard]] bool takes(std::size_t arguments) const noexcept {
    const int count = static_cast<int>(arguments);
    return arity >= 0 ? arity == 0 || count == arity : count >= -arity;
  }
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

  /// True when the upstream has no such command or takes no such number of arguments: the error was appended.
  [[nodiscard]] bool refuses(const Request& request) const;

  /// True when the connection that it takes is no client's to change, or would not be one for requests and
  /// replies behind it: the error was appended.
  [[nodiscard]] static bool bars(const Request& request, const Route& route);

  /// Appends all keys of a routed request. Life: of `request.raw`.
  void append_keys(const Request& request, const Route& route, std::vector<ByteView>& keys) const;

  /// Appends the keys a routed request writes.
  void append_written_keys(const Request& request, const Route& route, std::vector<KeyRef>& keys) const;

 private:
  [[nodiscard]] Route route_block(const Request& exec) const;
  void learn_one(ReplyCursor& cursor);
  [[nodiscard]] const Route* find_learned(const std::string& name, std::span<const ByteView> argv) const;

  /// A command outside our table.
  struct Learned {
    Route route;
    bool is_container = false;
  };

  using LearnedByName = std::unordered_map<std::string, Learned>;

  [[nodiscard]] LearnedByName::const_iterator find_subcommand(const std::string& container,
                                                              ByteView name) const;

  mutable std::vector<std::uint32_t> positions_;  ///< room for one request's keys
  const CommandSpec* const exec_ = find_command("exec");
  std::vector<Route> table_;  ///< parallel to all_commands()
  LearnedByName learned_;
};

/// True when a command that need not wait is asked to (XREAD BLOCK).
[[nodiscard]] bool asks_to_block(const Request& request);

}  // namespace larder::redis
