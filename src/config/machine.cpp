#include "config/machine.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include "base/units.h"

namespace larder::config {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kFallbackBytes = 1ULL << 30;

std::uint64_t number_or_no_limit(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? number : kNoLimit;
}

// cgroup v2 writes "max" for no limit; v1 writes a number beyond any machine's memory.
std::uint64_t limit_in(const fs::path& file) {
  std::string line;
  std::ifstream stream(file);
  return std::getline(stream, line) ? number_or_no_limit(line) : kNoLimit;
}

std::uint64_t machine_memory(const fs::path& root) {
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string name, amount, unit; meminfo >> name >> amount && std::getline(meminfo, unit);) {
    if (name != "MemTotal:") continue;
    const std::uint64_t kilobytes = number_or_no_limit(amount);
    return kilobytes == kNoLimit ? kNoLimit : kilobytes << 10;
  }
  return kNoLimit;
}

// A group is bounded by its ancestors too. In a container the path may be the host's and absent here: then
// what is mounted at `mount` is the container's own group.
std::uint64_t least_limit(const fs::path& mount, fs::path group, std::string_view file) {
  std::uint64_t least = limit_in(mount / file);
  for (; group.has_relative_path(); group = group.parent_path()) {
    least = std::min(least, limit_in(mount / group.relative_path() / file));
  }
  return least;
}

// Lines of /proc/self/cgroup are "id:controllers:path"; v2 is the line without controllers.
std::uint64_t cgroup_limit(const fs::path& root) {
  std::uint64_t least = kNoLimit;
  std::ifstream groups(root / "proc/self/cgroup");
  std::string id, controllers, path;
  while (std::getline(groups, id, ':') && std::getline(groups, controllers, ':') &&
         std::getline(groups, path)) {
    if (controllers.empty()) {
      least = std::min(least, least_limit(root / "sys/fs/cgroup", path, "memory.max"));
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      least = std::min(least, least_limit(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace

std::uint64_t usable_memory_bytes(const fs::path& root) {
  const std::uint64_t least = std::min(machine_memory(root), cgroup_limit(root));
  return least == kNoLimit ? kFallbackBytes : least;
}

std::uint64_t memory_share_bytes(unsigned percent) {
  return usable_memory_bytes() / kMegabyte * percent / 100 * kMegabyte;
}

}  // namespace larder::config
