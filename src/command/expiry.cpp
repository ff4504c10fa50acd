#include <limits>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"

namespace larder::commands {
namespace {

constexpr std::int64_t kMinInteger = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

// What TTL and its kin answer instead of a time.
constexpr std::int64_t kNoSuchKey = -2;
constexpr std::int64_t kNeverExpires = -1;

/// The moment EXPIRE and its kin name. Unlike SET's it may lie in the past.
/// Source: Redis expire.c expireGenericCommand().
Result<UnixMs> moment_argument(ByteView text, TimeUnit unit, UnixMs base_ms) {
  const Result<std::int64_t> amount = integer_argument(text);
  if (!amount) return amount.error();
  const std::int64_t scale = unit == TimeUnit::seconds ? 1000 : 1;
  if (*amount > kMaxInteger / scale || *amount < kMinInteger / scale) return Errc::invalid_expire;
  if (*amount * scale > kMaxInteger - base_ms) return Errc::invalid_expire;
  return *amount * scale + base_ms;
}

void expire_at_moment(Call& call, Records& records, TimeUnit unit, UnixMs base_ms) {
  const std::span<const ByteView> words = call.argv.subspan(3);
  if (const auto word = find_unsupported_option(words)) return append_unsupported_option(call.reply, *word);
  const Result<ExpireConditions> conditions = parse_expire_conditions(words);
  if (!conditions) return append_error(call, conditions.error());
  const Result<UnixMs> moment = moment_argument(call.argv[2], unit, base_ms);
  if (!moment) return append_error(call, moment.error());

  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  if (!item || !conditions->allow(item->expire_at, *moment)) return call.reply.integer(0);
  if (*moment <= call.now_ms)
    records.erase(key);
  else
    records.set_expiry(key, *moment);
  call.reply.integer(1);
}

/// Answers the expiry as a moment (`base_ms` = 0) or as what is left of it (`base_ms` = now).
void append_expiry(Call& call, Records& records, TimeUnit unit, UnixMs base_ms) {
  const std::optional<Item> item = records.find(call.key(1));
  if (!item) return call.reply.integer(kNoSuchKey);
  if (item->expire_at == kNoExpiry) return call.reply.integer(kNeverExpires);
  const UnixMs milliseconds = item->expire_at - base_ms;
  call.reply.integer(unit == TimeUnit::milliseconds ? milliseconds : (milliseconds + 500) / 1000);
}

}  // namespace

void expire(Call& call, Records& records) {
  expire_at_moment(call, records, TimeUnit::seconds, call.now_ms);
}

void pexpire(Call& call, Records& records) {
  expire_at_moment(call, records, TimeUnit::milliseconds, call.now_ms);
}

void expireat(Call& call, Records& records) {
  expire_at_moment(call, records, TimeUnit::seconds, 0);
}

void pexpireat(Call& call, Records& records) {
  expire_at_moment(call, records, TimeUnit::milliseconds, 0);
}

void ttl(Call& call, Records& records) {
  append_expiry(call, records, TimeUnit::seconds, call.now_ms);
}

void pttl(Call& call, Records& records) {
  append_expiry(call, records, TimeUnit::milliseconds, call.now_ms);
}

void expiretime(Call& call, Records& records) {
  append_expiry(call, records, TimeUnit::seconds, 0);
}

void pexpiretime(Call& call, Records& records) {
  append_expiry(call, records, TimeUnit::milliseconds, 0);
}

void persist(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  const bool expires = item && item->expire_at != kNoExpiry;
  if (expires) records.set_expiry(key, kNoExpiry);
  call.reply.integer(expires);
}

}  // namespace larder::commands
