#pragma once

#include <string>

#include "config/backend_choice.h"
#include "config/settings.h"

namespace larder::config {

/// The effective configuration as a TOML file: origins as comments, secrets masked, then the chosen backend
/// and why.
[[nodiscard]] std::string describe(const Settings& settings, const BackendChoice& choice);

}  // namespace larder::config
