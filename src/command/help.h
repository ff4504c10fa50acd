#pragma once

#include "resp/reply_writer.h"

namespace larder {

/// Appends what `CONTAINER HELP` answers: a line a subcommand and its explanation.
///
/// Shape: `container` is client, command, config, debug, larder, latency, memory, object or slowlog.
void append_help(ReplyWriter& reply, ByteView container);

}  // namespace larder
