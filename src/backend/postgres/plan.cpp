#include "backend/postgres/plan.h"

#include <algorithm>

#include "command/arguments.h"

namespace larder::postgres {
namespace {

enum class Need : std::uint8_t {
  rows,      ///< the rows of all its keys
  nothing,   ///< puts whatever was there
  presence,  ///< only whether they were there: the removal itself tells
};

/// Whether a SET of that many words can be done without a look at what is there.
bool is_blind_set(std::span<const ByteView> arguments) {
  // Three arguments: no option. Five: most likely an expiry; the others are rare in pairs.
  if (arguments.size() <= 5) return arguments.size() != 4;
  const auto options = parse_set_options(arguments.subspan(3));
  return options && options->condition == Condition::none && !options->returns_old_value &&
         options->expiry != ExpiryOption::keep_ttl;
}

Need need_of(const Batch& batch, const Batch::Command& command) {
  if (!command.spec->flags.has(Flag::write)) return Need::rows;
  const ByteView name = command.spec->name;
  if (name == "set") return is_blind_set(batch.arguments(command)) ? Need::nothing : Need::rows;
  if (name == "mset" || name == "setex" || name == "psetex") return Need::nothing;
  if (name == "del" || name == "unlink") return Need::presence;
  return Need::rows;
}

/// Neither another command nor a WATCH wants to know what is there.
bool is_alone_on_its_keys(Batch& batch, const Batch::Command& command) noexcept {
  for (std::size_t i = 0; i < command.key_count; ++i)
    if (const Slot& slot = batch.slot_of(command, i); slot.commands > 1 || slot.wants_load) return false;
  return true;
}

/// Keys that a command of several keys only reads must not change until what it writes is stored.
bool reads_some_to_write_others(const Batch::Command& command) noexcept {
  return command.key_count > 1 && command.spec->flags.has(Flag::write);
}

}  // namespace

void plan_loads(Batch& batch) {
  for (Batch::Command& command : batch.commands()) {
    const Need need = need_of(batch, command);
    command.removes_blindly = need == Need::presence && is_alone_on_its_keys(batch, command);
    if (command.removes_blindly) continue;
    for (std::size_t i = 0; i < command.key_count; ++i) {
      Slot& slot = batch.slot_of(command, i);
      if (need != Need::nothing && !slot.becomes_known) slot.wants_load = true;
      slot.becomes_known = true;
      slot.is_checked = slot.is_checked || reads_some_to_write_others(command);
    }
  }
}

}  // namespace larder::postgres
