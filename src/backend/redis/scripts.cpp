#include "backend/redis/scripts.h"

#include <algorithm>

#include <boost/uuid/detail/sha1.hpp>
#include <fmt/format.h>

#include "value/number.h"

namespace larder::redis {
namespace {

constexpr std::size_t kOverheadBytes = 256;  // of a script in the list and in the map, roughly

}  // namespace

ScriptUse script_use(std::span<const ByteView> argv) noexcept {
  const ByteView name = argv[0];
  if (argv.size() < 2) return ScriptUse::none;
  if (name.size() == 6 && equals_ignore_case(name, "script")) {
    if (equals_ignore_case(argv[1], "flush")) return ScriptUse::flush;
    return argv.size() == 3 && equals_ignore_case(argv[1], "load") ? ScriptUse::load : ScriptUse::none;
  }
  if (argv.size() < 3 || !equals_ignore_case(name.substr(0, 4), "eval")) return ScriptUse::none;
  const ByteView rest = name.substr(4);
  if (rest.empty() || equals_ignore_case(rest, "_ro")) {
    // With another number of keys Redis does not look at the script.
    const auto keys = parse_integer(argv[2]);
    const bool fits = keys && *keys >= 0 && *keys <= static_cast<std::int64_t>(argv.size()) - 3;
    return fits ? ScriptUse::eval : ScriptUse::none;
  }
  const bool by_sha = equals_ignore_case(rest, "sha") || equals_ignore_case(rest, "sha_ro");
  return by_sha ? ScriptUse::by_sha : ScriptUse::none;
}

std::string sha1_hex(ByteView text) {
  boost::uuids::detail::sha1 hash;
  hash.process_bytes(text.data(), text.size());
  boost::uuids::detail::sha1::digest_type digest;
  hash.get_digest(digest);
  std::string hex;
  for (const unsigned word : digest) fmt::format_to(std::back_inserter(hex), "{:08x}", word);
  return hex;
}

void Scripts::remember(ByteView body) {
  Script script{sha1_hex(body), Bytes(body)};
  if (cost(script) > budget_bytes_ / 8) return;
  const std::lock_guard lock(mutex_);
  if (find_used(script.sha)) return;
  bytes_ += cost(script);
  scripts_.push_front(std::move(script));
  by_sha_.emplace(scripts_.front().sha, scripts_.begin());
  while (bytes_ > budget_bytes_) drop_last();
}

std::optional<Bytes> Scripts::find(ByteView sha) {
  const std::string wanted = lower_case(sha);
  const std::lock_guard lock(mutex_);
  const std::optional<Place> found = find_used(wanted);
  if (!found) return std::nullopt;
  return (*found)->body;
}

bool Scripts::knows(ByteView sha) {
  const std::string wanted = lower_case(sha);
  const std::lock_guard lock(mutex_);
  return find_used(wanted).has_value();
}

void Scripts::forget_all() {
  const std::lock_guard lock(mutex_);
  by_sha_.clear();
  scripts_.clear();
  bytes_ = 0;
}

std::optional<Scripts::Place> Scripts::find_used(const std::string& sha) {
  const auto found = by_sha_.find(sha);
  if (found == by_sha_.end()) return std::nullopt;
  scripts_.splice(scripts_.begin(), scripts_, found->second);
  return found->second;
}

std::size_t Scripts::cost(const Script& script) noexcept {
  return script.body.size() + kOverheadBytes;
}

void Scripts::drop_last() {
  bytes_ -= cost(scripts_.back());
  by_sha_.erase(scripts_.back().sha);
  scripts_.pop_back();
}

}  // namespace larder::redis
