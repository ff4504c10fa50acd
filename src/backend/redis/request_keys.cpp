#include "backend/redis/request_keys.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace larder::redis {
namespace {

struct RuleRow {
  ByteView name;
  KeyRule rule;
};

// Sorted by name.
constexpr auto kRules = std::to_array<RuleRow>({
    {"blmpop", KeyRule::counted_from_second},
    {"bzmpop", KeyRule::counted_from_second},
    {"eval", KeyRule::counted_from_second},
    {"eval_ro", KeyRule::counted_from_second},
    {"evalsha", KeyRule::counted_from_second},
    {"evalsha_ro", KeyRule::counted_from_second},
    {"exec", KeyRule::block},
    {"fcall", KeyRule::counted_from_second},
    {"fcall_ro", KeyRule::counted_from_second},
    {"georadius", KeyRule::geo},
    {"georadiusbymember", KeyRule::geo},
    {"lmpop", KeyRule::counted_from_first},
    {"migrate", KeyRule::migrate},
    {"sintercard", KeyRule::counted_from_first},
    {"sort", KeyRule::sort},
    {"sort_ro", KeyRule::sort},
    {"xread", KeyRule::streams},
    {"xreadgroup", KeyRule::streams},
    {"zdiff", KeyRule::counted_from_first},
    {"zdiffstore", KeyRule::stored_and_counted},
    {"zinter", KeyRule::counted_from_first},
    {"zintercard", KeyRule::counted_from_first},
    {"zinterstore", KeyRule::stored_and_counted},
    {"zmpop", KeyRule::counted_from_first},
    {"zunion", KeyRule::counted_from_first},
    {"zunionstore", KeyRule::stored_and_counted},
});
static_assert(std::ranges::is_sorted(kRules, {}, &RuleRow::name));

/// The keys that a request has, as positions.
class Positions {
 public:
  Positions(std::span<const ByteView> argv, std::vector<std::uint32_t>& out) : argv_(argv), out_(out) {}

  void add(std::size_t position) {
    if (position < argv_.size()) out_.push_back(static_cast<std::uint32_t>(position));
  }

  void add_range(const KeyRange& range) {
    if (range.first <= 0) return;
    const int count = static_cast<int>(argv_.size());
    const int last = range.last < 0 ? count + range.last : range.last;
    for (int i = range.first; i <= last && i < count; i += std::max(range.step, 1))
      add(static_cast<std::size_t>(i));
  }

  /// The number at `at` says how many keys follow it.
  void add_counted(std::size_t at) {
    if (at >= argv_.size()) return;
    const ByteView text = argv_[at];
    std::size_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || end != text.data() + text.size()) return;
    if (count > argv_.size() - at - 1) return;
    for (std::size_t i = 0; i < count; ++i) add(at + 1 + i);
  }

  void add_streams() {
    for (std::size_t i = 1; i < argv_.size(); ++i) {
      if (!equals_ignore_case(argv_[i], "streams")) continue;
      const std::size_t left = argv_.size() - i - 1;
      for (std::size_t k = 0; left % 2 == 0 && k < left / 2; ++k) add(i + 1 + k);
      return;
    }
  }

  /// The last one named counts, as in Redis.
  void add_destination(std::size_t from, ByteView option, ByteView other_option) {
    std::size_t found = 0;
    for (std::size_t i = from; i + 1 < argv_.size(); ++i)
      if (equals_ignore_case(argv_[i], option) || equals_ignore_case(argv_[i], other_option)) found = ++i;
    if (found != 0) add(found);
  }

  void add_migrated() {
    if (argv_.size() > 3 && !argv_[3].empty()) return add(3);
    for (std::size_t i = 6; i < argv_.size(); ++i) {
      if (!equals_ignore_case(argv_[i], "keys")) continue;
      while (++i < argv_.size()) add(i);
    }
  }

 private:
  std::span<const ByteView> argv_;
  std::vector<std::uint32_t>& out_;
};

}  // namespace

KeyRule find_key_rule(ByteView name) noexcept {
  const auto found = std::ranges::lower_bound(kRules, name, {}, &RuleRow::name);
  return found != kRules.end() && found->name == name ? found->rule : KeyRule::range;
}

void append_key_positions(KeyRule rule, const KeyRange& range, std::span<const ByteView> argv,
                          std::vector<std::uint32_t>& positions) {
  Positions keys(argv, positions);
  switch (rule) {
    case KeyRule::range:
      return keys.add_range(range);
    case KeyRule::counted_from_first:
      return keys.add_counted(1);
    case KeyRule::counted_from_second:
      return keys.add_counted(2);
    case KeyRule::stored_and_counted:
      keys.add(1);
      return keys.add_counted(2);
    case KeyRule::streams:
      return keys.add_streams();
    case KeyRule::sort:
      keys.add(1);
      return keys.add_destination(2, "store", "store");
    case KeyRule::geo:
      keys.add(1);
      return keys.add_destination(2, "store", "storedist");
    case KeyRule::block:
      return;  // they are not among EXEC's arguments
    case KeyRule::migrate:
      return keys.add_migrated();
  }
}

}  // namespace larder::redis
