#pragma once

#include <vector>

#include "command/spec.h"

namespace larder {

/// Appends what COMMAND INFO says about a command, its subcommands included.
///
/// Source: the ten fields of Redis 7.0's reply. Tips are left out: they are for clients that spread commands
/// over the nodes of a cluster.
void append_command_info(ReplyWriter& reply, const CommandSpec& spec);

/// The rows of a container's subcommands; empty for other commands.
[[nodiscard]] std::vector<const CommandSpec*> subcommands_of(const CommandSpec& spec);

/// Its ACL categories (`@read`, `@fast` …), in Redis' order.
[[nodiscard]] std::vector<ByteView> categories(const CommandSpec& spec);

/// What a command does to its first key, or to all of them, and to its second.
struct KeyAccess {
  ByteView command;
  ByteView first;
  ByteView second = {};
};

[[nodiscard]] KeyAccess key_access(const CommandSpec& spec) noexcept;

/// Appends words as a set of simple strings.
void append_words(ReplyWriter& reply, const std::vector<ByteView>& words);

/// The words of a text with single spaces between them.
[[nodiscard]] std::vector<ByteView> split_words(ByteView text);

}  // namespace larder
