#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"

namespace larder::config {

/// What the command line says, not yet checked against the keys.
struct CommandLine {
  Settings::Task task = Settings::Task::serve;
  std::string config_file;                                  // empty: none
  std::vector<std::pair<std::string, std::string>> values;  // key name -> text
};

/// Errors: ConfigError on an unknown flag or a flag without its value.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace larder::config
