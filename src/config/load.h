#pragma once

#include <map>
#include <string>

#include "config/settings.h"

namespace larder::config {

using Variables = std::map<std::string, std::string, std::less<>>;

/// The environment variables of this process.
[[nodiscard]] Variables process_variables();

/// Builds the settings: flags before environment variables before the TOML file before the defaults.
///
/// Shape:  an environment variable that is set but empty counts as not set.
/// Errors: ConfigError on anything unknown, of the wrong type, out of range or contradictory.
[[nodiscard]] Settings load(int argc, const char* const* argv, const Variables& variables);

/// What --help prints.
[[nodiscard]] std::string help_text();

}  // namespace larder::config
