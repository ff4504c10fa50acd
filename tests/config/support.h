#pragma once

#include <string>
#include <vector>

#include "config/load.h"

namespace larder::config {

/// load() as if `larder ARGUMENTS...` had been typed with only `variables` in the environment.
inline Settings load_with(std::vector<std::string> arguments, const Variables& variables = {}) {
  std::vector<const char*> argv{"larder"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return load(static_cast<int>(argv.size()), argv.data(), variables);
}

/// The sentence of the ConfigError that `act` throws.
template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace larder::config
