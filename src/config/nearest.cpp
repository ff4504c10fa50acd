#include "config/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace larder::config {
namespace {

// Levenshtein's distance, one row of his matrix at a time.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// The right name in the wrong section, as "port" for "server.port", counts as one mistake.
std::size_t distance(std::string_view mistyped, std::string_view name) {
  const auto leaf = [](std::string_view text) { return text.substr(text.rfind('.') + 1); };
  return leaf(mistyped) == leaf(name) ? 1 : edits_between(mistyped, name);
}

}  // namespace

std::string_view find_nearest(std::string_view mistyped, std::span<const std::string_view> names) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, mistyped.size() / 4) + 1;
  for (const std::string_view name : names) {
    const std::size_t edits = distance(mistyped, name);
    if (edits < least) {
      least = edits;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace larder::config
