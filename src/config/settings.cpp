#include "config/settings.h"

#include <algorithm>
#include <thread>

namespace larder::config {

unsigned worker_count(const ServerSettings& server) {
  if (server.workers != 0) return server.workers;
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace larder::config
