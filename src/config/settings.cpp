#include "config/settings.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

namespace larder::config {

std::string name_of(std::string_view key, const Origin& origin) {
  if (origin.source == Origin::Source::file) return fmt::format("{} ({})", key, origin.name);
  return origin.name;
}

std::string name_of(const Settings& settings, std::string_view key) {
  const auto found = settings.origins.find(key);
  return found == settings.origins.end() ? std::string(key) : name_of(key, found->second);
}

bool set_by_flag(const Settings& settings, std::string_view key) {
  const auto found = settings.origins.find(key);
  return found != settings.origins.end() && found->second.source == Origin::Source::flag;
}

unsigned worker_count(const ServerSettings& server) {
  if (server.workers != 0) return server.workers;
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace larder::config
