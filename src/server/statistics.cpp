#include "server/statistics.h"

#include <algorithm>

namespace larder {
namespace {

// Whoever makes up names shall not fill the memory, or INFO, with them.
constexpr std::size_t kMostUnlisted = 512;
constexpr std::size_t kLongestName = 64;
constexpr ByteView kOther = "other";

bool is_plain(ByteView name) noexcept {
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, [](char c) {
    const char low = ascii_lower(c);
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace

WorkerStatistics::Unlisted& WorkerStatistics::of_unlisted(ByteView name) {
  std::string lower(is_plain(name) ? name : kOther);
  std::ranges::transform(lower, lower.begin(), ascii_lower);
  const auto found = unlisted_.find(lower);
  if (found != unlisted_.end()) return *found;
  const std::lock_guard lock(unlisted_mutex_);
  return *unlisted_.try_emplace(unlisted_.size() < kMostUnlisted ? lower : std::string(kOther)).first;
}

}  // namespace larder
