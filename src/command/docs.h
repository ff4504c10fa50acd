#pragma once

#include <span>

#include "base/bytes.h"

namespace larder {

/// One argument of a command, or a choice or block of several.
struct ArgumentDoc {
  ByteView name{};
  ByteView type{};                           ///< in the words of COMMAND DOCS: `key`, `integer`, `oneof` …
  int key_spec = 0;                          ///< for keys: which of COMMAND INFO's key specifications
  ByteView token{};                          ///< the word that announces it
  ByteView since{};                          ///< when younger than the command
  unsigned flags = 0;                        ///< bits of kArgumentFlags
  std::span<const ArgumentDoc> arguments{};  ///< of a choice or a block
};

inline constexpr ByteView kArgumentFlags[] = {"optional", "multiple", "multiple_token"};

/// What people read about a command.
///
/// Source: COMMAND DOCS of Redis 7.0.15; versions are those of Redis.
struct CommandDoc {
  ByteView name{};
  ByteView group{};
  ByteView since{};
  ByteView complexity{};
  ByteView summary{};
  ByteView deprecated_since{};
  ByteView replaced_by{};
  std::span<const ArgumentDoc> arguments{};
};

/// The words about the command of that (lower-case, full) name; every row of the table has them.
[[nodiscard]] const CommandDoc& doc_of(ByteView name) noexcept;

}  // namespace larder
