#pragma once

#include <span>

#include "command/spec.h"

namespace larder {

/// Appends what COMMAND DOCS says about commands: a map from name to documentation.
void append_command_docs(ReplyWriter& reply, std::span<const CommandSpec* const> commands);

/// The same without the map's header.
void append_doc_pairs(ReplyWriter& reply, std::span<const CommandSpec* const> commands);

}  // namespace larder
