#include "server/hot_keys.h"

#include <algorithm>

#include "base/hash.h"

namespace larder {
namespace {

constexpr double kKeptPerSecond = 0.933;  // half is left after ten seconds
constexpr double kForgotten = 0.5;        // a key counted once is forgotten after ten seconds

}  // namespace

void HotKeys::add(int db, ByteView key) {
  until_sample_ = kOneIn;
  if (key.empty()) return;
  const std::uint64_t hash = hash_bytes(key);
  const auto found = std::ranges::find_if(
      table_, [&](const Counted& entry) { return entry.hash == hash && entry.db == db; });
  if (found != table_.end()) {
    found->count += 1;
  } else if (table_.size() < kKept) {
    table_.push_back({hash, db, Bytes(key.substr(0, kLongestKey)), 1});
  } else {
    Counted& least = *std::ranges::min_element(table_, {}, &Counted::count);
    least = {hash, db, Bytes(key.substr(0, kLongestKey)), least.count + 1};
  }
}

void HotKeys::fade() noexcept {
  for (Counted& entry : table_) entry.count *= kKeptPerSecond;
  std::erase_if(table_, [](const Counted& entry) { return entry.count < kForgotten; });
}

/// What fades in a second is what a steady rate adds in one.
std::vector<HotKeys::Entry> HotKeys::entries() const {
  std::vector<Entry> entries;
  for (const Counted& counted : table_)
    entries.push_back({counted.db, counted.key, counted.count * (1 - kKeptPerSecond) * kOneIn});
  return entries;
}

}  // namespace larder
