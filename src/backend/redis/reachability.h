#pragma once

#include <string>

#include "backend/redis/make_tier.h"

namespace larder::redis {

/// Tries to log in to the server, or to any of the nodes or Sentinels named, for at most `connect_timeout`.
///
/// Returns why that cannot be done, in words; empty: it can. Thread: any, blocks.
[[nodiscard]] std::string find_problem(const Options& options);

}  // namespace larder::redis
