#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/bytes.h"

namespace larder {

class Server;

/// A change of a parameter: what is wrong with the value, or what makes it hold.
struct ParameterChange {
  std::string error = {};
  std::function<void()> apply = {};
};

/// A setting under the name and in the notation of redis.conf.
struct Parameter {
  ByteView name;
  std::string (*get)(Server&);
  ParameterChange (*change)(Server&, ByteView value);  ///< null: fixed while the process runs
  bool is_of_redis = false;  ///< Larder has nothing of the kind: a Redis behind it answers for itself
};

/// Every parameter CONFIG knows.
/// Source: names, limits and error texts of Redis 7.0 config.c.
[[nodiscard]] std::span<const Parameter> all_parameters() noexcept;

/// Any case; null when there is none.
[[nodiscard]] const Parameter* find_parameter(ByteView name) noexcept;

}  // namespace larder
