#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/codec.h"

namespace larder::config {

/// One "key = value" of a TOML file.
struct FileEntry {
  std::string key;  // full name, '-' already turned into '_': redis.conf's spelling works as well
  // What a flag would say; the elements of an array of strings are joined by ','. Of another type: which.
  std::string text;
  TomlType type = TomlType::other;
  unsigned line = 0;
};

/// The entries of `content` in no particular order; `file` is for messages.
///
/// Errors: ConfigError with file and line on anything that is not TOML.
[[nodiscard]] std::vector<FileEntry> parse_toml(std::string_view content, const std::string& file);

}  // namespace larder::config
