#pragma once

#include <span>

#include "command/spec.h"
#include "resp/reply_writer.h"

namespace larder {

/// Runs COMMAND and its subcommands: what the table says, as clients and redis-cli read it.
///
/// Shape: `spec` is the row `command` or one of its subcommands, and accepts the number of arguments.
void run_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ReplyWriter& reply);

/// Whether a Redis could say anything about what the request asks for: it is not about commands that only
/// Larder has.
[[nodiscard]] bool is_for_redis(const CommandSpec& spec, std::span<const ByteView> argv) noexcept;

/// What a Redis answers to the same request, completed with the commands that only Larder has.
///
/// Shape: `upstream` is one whole reply in the writer's protocol; an error stays one.
void complete_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ByteView upstream,
                            ReplyWriter& reply);

}  // namespace larder
