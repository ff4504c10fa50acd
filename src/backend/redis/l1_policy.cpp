#include "backend/redis/l1_policy.h"

#include <random>

namespace larder::redis {
namespace {

/// Entries that were filled together shall not expire together.
std::int64_t shortened(std::chrono::milliseconds time, unsigned percent) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const std::int64_t spread = time.count() * percent / 100;
  return time.count() - std::uniform_int_distribution<std::int64_t>(0, spread)(random);
}

}  // namespace

Treatment L1Policy::treatment_by_rule(ByteView key) const noexcept {
  Treatment treatment = Treatment::cache;
  std::size_t longest = 0;
  for (const L1Options::Rule& rule : options_.rules) {
    if (rule.prefix.size() < longest || !key.starts_with(rule.prefix)) continue;
    longest = rule.prefix.size();
    treatment = rule.treatment;
  }
  return treatment;
}

UnixMs L1Policy::expiry_of(const Fill& fill) const {
  UnixMs expiry = fill.ttl_ms >= 0 ? fill.sent_ms + fill.ttl_ms : kNoExpiry;
  if (!fill.tracked) expiry = sooner(expiry, fill.sent_ms + options_.untracked_ttl.count());
  for (const auto& limit : {options_.max_ttl, fill.absent ? options_.negative_ttl : options_.max_ttl})
    if (limit.count() > 0)
      expiry = sooner(expiry, fill.sent_ms + shortened(limit, options_.ttl_jitter_percent));
  return expiry;
}

}  // namespace larder::redis
