#include "backend/redis/slot_name.h"

#include <vector>

#include "backend/redis/hash_slot.h"

namespace larder::redis {
namespace {

/// For each slot the first string that hashes to it: the shorter ones first.
std::vector<std::string> find_names() {
  constexpr ByteView kLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::vector<std::string> names(kHashSlots);
  std::size_t left = kHashSlots;
  std::vector<std::string> shorter{""};
  while (left > 0) {
    std::vector<std::string> longer;
    for (const std::string& begin : shorter)
      for (const char letter : kLetters) {
        longer.push_back(begin + letter);
        std::string& name = names[hash_slot(longer.back())];
        if (!name.empty()) continue;
        name = longer.back();
        --left;
      }
    shorter = std::move(longer);
  }
  return names;
}

}  // namespace

const std::string& slot_name(std::uint16_t slot) {
  static const std::vector<std::string> names = find_names();
  return names[slot];
}

}  // namespace larder::redis
