#pragma once

#include <span>

#include "command/spec.h"
#include "resp/reply_writer.h"

namespace larder {

/// Runs COMMAND and its subcommands: what the table says, as clients and redis-cli read it.
///
/// Shape: `spec` is the row `command` or one of its subcommands, and accepts the number of arguments.
void run_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ReplyWriter& reply);

}  // namespace larder
