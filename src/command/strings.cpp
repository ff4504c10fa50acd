#include <algorithm>
#include <cmath>
#include <limits>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"
#include "command/limits.h"
#include "value/number.h"

namespace larder::commands {
namespace {

void append_bulk_or_null(Call& call, const std::optional<Item>& item) {
  if (item)
    call.reply.bulk(item->value);
  else
    call.reply.null();
}

UnixMs expiry_of_item(const std::optional<Item>& item) noexcept {
  return item ? item->expire_at : kNoExpiry;
}

bool holds(Condition condition, const std::optional<Item>& old) noexcept {
  return condition == Condition::none || (condition == Condition::if_present) == old.has_value();
}

bool needs_old_item(const WriteOptions& options) noexcept {
  return options.condition != Condition::none || options.returns_old_value ||
         options.expiry == ExpiryOption::keep_ttl;
}

/// SETEX and PSETEX: `argv` is name, key, time, value.
void set_with_expiry(Call& call, Records& records, TimeUnit unit) {
  const Result<UnixMs> expire_at = expiry_argument(call.argv[2], unit, call.now_ms);
  if (!expire_at) return append_error(call, expire_at.error());
  store(call, records, call.key(1), call.argv[3], *expire_at);
  call.reply.ok();
}

void put_pairs(Call& call, Records& records) {
  for (std::size_t i = 1; i < call.argv.size(); i += 2) records.put(call.key(i), call.argv[i + 1], kNoExpiry);
}

/// MSET and MSETNX take pairs; an arity cannot say so.
bool refuse_odd_pairs(Call& call, ByteView name) {
  if (call.argv.size() % 2 == 1) return false;
  append_wrong_arity(call.reply, name);
  return true;
}

void increment(Call& call, Records& records, std::int64_t amount) {
  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  if (refuse_other_type(call, item)) return;
  const Result<std::int64_t> old = item ? integer_argument(item->value) : Result<std::int64_t>(0);
  if (!old) return append_error(call, old.error());
  std::int64_t sum;
  if (__builtin_add_overflow(*old, amount, &sum)) return append_error(call, Errc::overflow);
  records.put(key, IntegerText(sum).view(), expiry_of_item(item));
  call.reply.integer(sum);
}

/// Redis counts from the end for negative indices and clips the rest; empty when nothing is left.
ByteView slice(ByteView value, std::int64_t start, std::int64_t end) noexcept {
  const std::int64_t size = static_cast<std::int64_t>(value.size());
  if (start < 0 && end < 0 && start > end) return {};
  start = std::max<std::int64_t>(start < 0 ? size + start : start, 0);
  end = std::min(std::max<std::int64_t>(end < 0 ? size + end : end, 0), size - 1);
  if (start > end) return {};
  return value.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1));
}

bool refuse_too_long(Call& call, std::uint64_t offset, std::size_t added) {
  // The sum cannot wrap: an offset is a positive 64-bit integer and a bulk is far below 2^63.
  if (offset + added <= command_limits.max_string_bytes) return false;
  append_error(call, Errc::string_too_long);
  return true;
}

}  // namespace

bool refuse_other_type(Call& call, const std::optional<Item>& item) {
  if (!item || item->type == Type::string) return false;
  append_error(call, Errc::wrong_type);
  return true;
}

void store(const Call& call, Records& records, const KeyRef& key, ByteView value, UnixMs expire_at) {
  if (expire_at != kNoExpiry && expire_at <= call.now_ms)
    records.erase(key);
  else
    records.put(key, value, expire_at);
}

void get(Call& call, Records& records) {
  const std::optional<Item> item = records.find(call.key(1));
  if (refuse_other_type(call, item)) return;
  append_bulk_or_null(call, item);
}

void set(Call& call, Records& records) {
  const Result<WriteOptions> options = parse_set_options(call.argv.subspan(3));
  if (!options) return append_error(call, options.error());
  const Result<UnixMs> named_expiry = expiry_of(*options, call.now_ms);
  if (!named_expiry) return append_error(call, named_expiry.error());
  const Result<TagSet> tags = TagSet::parse(options->tags.value_or(std::span<const ByteView>()));
  if (!tags) return append_error(call, tags.error());

  const KeyRef key = call.key(1);
  const std::optional<Item> old = needs_old_item(*options) ? records.find(key) : std::nullopt;
  if (options->returns_old_value) {
    if (refuse_other_type(call, old)) return;
    append_bulk_or_null(call, old);
  }
  const bool writes = holds(options->condition, old);
  const bool keeps_ttl = options->expiry == ExpiryOption::keep_ttl;
  if (writes) store(call, records, key, call.argv[2], keeps_ttl ? expiry_of_item(old) : *named_expiry);
  if (writes && options->tags) records.set_tags(key, *tags);
  if (options->returns_old_value) return;
  writes ? call.reply.ok() : call.reply.null();
}

void setnx(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const bool writes = !records.find(key);
  if (writes) records.put(key, call.argv[2], kNoExpiry);
  call.reply.integer(writes);
}

void setex(Call& call, Records& records) {
  set_with_expiry(call, records, TimeUnit::seconds);
}

void psetex(Call& call, Records& records) {
  set_with_expiry(call, records, TimeUnit::milliseconds);
}

void getset(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const std::optional<Item> old = records.find(key);
  if (refuse_other_type(call, old)) return;
  append_bulk_or_null(call, old);
  records.put(key, call.argv[2], kNoExpiry);
}

void getdel(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  if (refuse_other_type(call, item)) return;
  append_bulk_or_null(call, item);
  if (item) records.erase(key);
}

void getex(Call& call, Records& records) {
  const Result<WriteOptions> options = parse_getex_options(call.argv.subspan(2));
  if (!options) return append_error(call, options.error());
  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  if (!item) return call.reply.null();
  if (refuse_other_type(call, item)) return;
  const Result<UnixMs> expire_at = expiry_of(*options, call.now_ms);
  if (!expire_at) return append_error(call, expire_at.error());

  call.reply.bulk(item->value);
  if (*expire_at != kNoExpiry && *expire_at <= call.now_ms)
    records.erase(key);
  else if (options->expiry != ExpiryOption::none)
    records.set_expiry(key, *expire_at);
}

void mget(Call& call, Records& records) {
  call.reply.begin_array(call.argv.size() - 1);
  for (std::size_t i = 1; i < call.argv.size(); ++i) {
    const std::optional<Item> item = records.find(call.key(i));
    append_bulk_or_null(call, item && item->type == Type::string ? item : std::nullopt);
  }
}

void mset(Call& call, Records& records) {
  if (refuse_odd_pairs(call, "mset")) return;
  put_pairs(call, records);
  call.reply.ok();
}

void msetnx(Call& call, Records& records) {
  if (refuse_odd_pairs(call, "msetnx")) return;
  for (std::size_t i = 1; i < call.argv.size(); i += 2)
    if (records.find(call.key(i))) return call.reply.integer(0);
  put_pairs(call, records);
  call.reply.integer(1);
}

void append(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const ByteView tail = call.argv[2];
  const std::optional<Item> item = records.find(key);
  if (refuse_other_type(call, item)) return;
  const std::size_t old_size = item ? item->value.size() : 0;
  if (item && refuse_too_long(call, old_size, tail.size())) return;
  const std::span<char> bytes = records.edit(key, old_size + tail.size());
  std::ranges::copy(tail, bytes.begin() + static_cast<std::ptrdiff_t>(old_size));
  call.reply.integer(static_cast<std::int64_t>(bytes.size()));
}

void strlen(Call& call, Records& records) {
  const std::optional<Item> item = records.find(call.key(1));
  if (refuse_other_type(call, item)) return;
  call.reply.integer(item ? static_cast<std::int64_t>(item->value.size()) : 0);
}

void getrange(Call& call, Records& records) {
  const Result<std::int64_t> start = integer_argument(call.argv[2]);
  if (!start) return append_error(call, start.error());
  const Result<std::int64_t> end = integer_argument(call.argv[3]);
  if (!end) return append_error(call, end.error());
  const std::optional<Item> item = records.find(call.key(1));
  if (refuse_other_type(call, item)) return;
  call.reply.bulk(item ? slice(item->value, *start, *end) : ByteView());
}

void setrange(Call& call, Records& records) {
  const Result<std::int64_t> offset = integer_argument(call.argv[2]);
  if (!offset) return append_error(call, offset.error());
  if (*offset < 0) return append_error(call, Errc::offset_out_of_range);
  const KeyRef key = call.key(1);
  const ByteView patch = call.argv[3];
  const std::optional<Item> item = records.find(key);
  if (refuse_other_type(call, item)) return;
  const std::size_t old_size = item ? item->value.size() : 0;
  if (patch.empty()) return call.reply.integer(static_cast<std::int64_t>(old_size));
  const std::size_t start = static_cast<std::size_t>(*offset);
  if (refuse_too_long(call, start, patch.size())) return;

  const std::span<char> bytes = records.edit(key, std::max(old_size, start + patch.size()));
  std::ranges::copy(patch, bytes.begin() + *offset);
  call.reply.integer(static_cast<std::int64_t>(bytes.size()));
}

void incr(Call& call, Records& records) {
  increment(call, records, 1);
}

void decr(Call& call, Records& records) {
  increment(call, records, -1);
}

void incrby(Call& call, Records& records) {
  const Result<std::int64_t> amount = integer_argument(call.argv[2]);
  if (!amount) return append_error(call, amount.error());
  increment(call, records, *amount);
}

void decrby(Call& call, Records& records) {
  const Result<std::int64_t> amount = integer_argument(call.argv[2]);
  if (!amount) return append_error(call, amount.error());
  // The one integer whose negative is none.
  if (*amount == std::numeric_limits<std::int64_t>::min())
    return append_error(call, Errc::decrement_overflow);
  increment(call, records, -*amount);
}

void incrbyfloat(Call& call, Records& records) {
  const KeyRef key = call.key(1);
  const std::optional<Item> item = records.find(key);
  if (refuse_other_type(call, item)) return;
  const std::optional<long double> old = item ? parse_long_double(item->value) : 0.0L;
  const std::optional<long double> amount = parse_long_double(call.argv[2]);
  if (!old || !amount) return append_error(call, Errc::not_a_float);
  const long double sum = *old + *amount;
  if (!std::isfinite(sum)) return append_error(call, Errc::not_finite);
  const std::string text = format_long_double(sum);
  records.put(key, text, expiry_of_item(item));
  call.reply.bulk(text);
}

}  // namespace larder::commands
