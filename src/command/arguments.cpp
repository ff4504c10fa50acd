#include "command/arguments.h"

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <limits>

#include "command/limits.h"
#include "value/number.h"

namespace larder {
namespace {

constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

enum class Arguments : std::uint8_t { none, one };

struct ExpiryWord {
  ByteView word;
  ExpiryOption option;
  Arguments arguments;
};

constexpr ExpiryWord kExpiryWords[] = {
    {"ex", ExpiryOption::ex, Arguments::one},
    {"px", ExpiryOption::px, Arguments::one},
    {"exat", ExpiryOption::exat, Arguments::one},
    {"pxat", ExpiryOption::pxat, Arguments::one},
    {"keepttl", ExpiryOption::keep_ttl, Arguments::none},
    {"persist", ExpiryOption::persist, Arguments::none},
};

const ExpiryWord* find_expiry_word(ByteView word) noexcept {
  for (const ExpiryWord& known : kExpiryWords)
    if (equals_ignore_case(word, known.word)) return &known;
  return nullptr;
}

/// Takes an expiry option and its argument off `words`; false when it is none, lacks its argument, or
/// contradicts an earlier one.
bool take_expiry(std::span<const ByteView>& words, ExpiryOption forbidden, WriteOptions& options) {
  const ExpiryWord* const known = find_expiry_word(words[0]);
  if (!known || known->option == forbidden) return false;
  if (options.expiry != ExpiryOption::none && options.expiry != known->option) return false;
  const std::size_t taken = known->arguments == Arguments::one ? 2 : 1;
  if (words.size() < taken) return false;
  options.expiry = known->option;
  if (taken == 2) options.expiry_text = words[1];
  words = words.subspan(taken);
  return true;
}

bool set_condition(Condition condition, WriteOptions& options) noexcept {
  if (options.condition != Condition::none && options.condition != condition) return false;
  options.condition = condition;
  return true;
}

/// Takes `TAGS n tag [tag …]` off `words`.
Result<void> take_tags(std::span<const ByteView>& words, WriteOptions& options) {
  if (words.size() < 2 || options.tags) return Errc::syntax;
  const Result<std::int64_t> count = integer_argument(words[1]);
  if (!count) return count.error();
  words = words.subspan(2);
  if (*count < 0 || static_cast<std::uint64_t>(*count) > words.size()) return Errc::syntax;
  options.tags = words.first(static_cast<std::size_t>(*count));
  words = words.subspan(static_cast<std::size_t>(*count));
  return {};
}

/// Takes NX, XX or GET off `words`; false when it is none of them.
bool take_set_word(std::span<const ByteView>& words, WriteOptions& options) {
  bool taken = true;
  if (equals_ignore_case(words[0], "nx"))
    taken = set_condition(Condition::if_absent, options);
  else if (equals_ignore_case(words[0], "xx"))
    taken = set_condition(Condition::if_present, options);
  else if (equals_ignore_case(words[0], "get"))
    options.returns_old_value = true;
  else
    return false;
  if (taken) words = words.subspan(1);
  return taken;
}

struct ExpireWord {
  ByteView word;
  bool ExpireConditions::*member;
};

constexpr ExpireWord kExpireWords[] = {
    {"nx", &ExpireConditions::nx},
    {"xx", &ExpireConditions::xx},
    {"gt", &ExpireConditions::gt},
    {"lt", &ExpireConditions::lt},
};

const ExpireWord* find_expire_word(ByteView word) noexcept {
  for (const ExpireWord& known : kExpireWords)
    if (equals_ignore_case(word, known.word)) return &known;
  return nullptr;
}

}  // namespace

Result<std::int64_t> integer_argument(ByteView text) {
  const std::optional<std::int64_t> value = parse_integer(text);
  if (!value) return Errc::not_an_integer;
  return *value;
}

// Source: Redis db.c parseScanCursorOrReply(): what strtoul takes, a sign or nothing at all too, but no space
// before.
Result<std::uint64_t> cursor_argument(ByteView text) {
  const Bytes terminated(text);
  char* stopped_at = nullptr;
  errno = 0;
  const std::uint64_t cursor = std::strtoull(terminated.c_str(), &stopped_at, 10);
  const bool leads_with_space = std::isspace(static_cast<unsigned char>(*terminated.c_str())) != 0;
  if (leads_with_space || *stopped_at != '\0' || errno == ERANGE) return Errc::bad_cursor;
  return cursor;
}

Result<int> database_argument(ByteView text) {
  const Result<std::int64_t> index = integer_argument(text);
  if (!index) return index.error();
  if (*index < std::numeric_limits<int>::min() || *index > std::numeric_limits<int>::max())
    return Errc::not_an_int;
  if (*index < 0 || *index >= command_limits.databases) return Errc::db_index_out_of_range;
  return static_cast<int>(*index);
}

Result<UnixMs> expiry_argument(ByteView text, TimeUnit unit, UnixMs base_ms) {
  const Result<std::int64_t> amount = integer_argument(text);
  if (!amount) return amount.error();
  const std::int64_t scale = unit == TimeUnit::seconds ? 1000 : 1;
  if (*amount <= 0 || *amount > kMaxInteger / scale) return Errc::invalid_expire;
  if (*amount * scale > kMaxInteger - base_ms) return Errc::invalid_expire;
  return *amount * scale + base_ms;
}

Result<WriteOptions> parse_set_options(std::span<const ByteView> words) {
  WriteOptions options;
  while (!words.empty()) {
    if (equals_ignore_case(words[0], "tags")) {
      if (const Result<void> taken = take_tags(words, options); !taken) return taken.error();
    } else if (!take_set_word(words, options) && !take_expiry(words, ExpiryOption::persist, options)) {
      return Errc::syntax;
    }
  }
  return options;
}

Result<WriteOptions> parse_getex_options(std::span<const ByteView> words) {
  WriteOptions options;
  while (!words.empty())
    if (!take_expiry(words, ExpiryOption::keep_ttl, options)) return Errc::syntax;
  return options;
}

Result<UnixMs> expiry_of(const WriteOptions& options, UnixMs now_ms) {
  switch (options.expiry) {
    case ExpiryOption::ex:
      return expiry_argument(options.expiry_text, TimeUnit::seconds, now_ms);
    case ExpiryOption::px:
      return expiry_argument(options.expiry_text, TimeUnit::milliseconds, now_ms);
    case ExpiryOption::exat:
      return expiry_argument(options.expiry_text, TimeUnit::seconds, 0);
    case ExpiryOption::pxat:
      return expiry_argument(options.expiry_text, TimeUnit::milliseconds, 0);
    default:
      return kNoExpiry;
  }
}

bool ExpireConditions::allow(UnixMs present, UnixMs wanted) const noexcept {
  const bool expires = present != kNoExpiry;
  if (nx && expires) return false;
  if (xx && !expires) return false;
  // A key without expiry lives forever: nothing is greater.
  if (gt && (!expires || wanted <= present)) return false;
  return !lt || !expires || wanted < present;
}

std::optional<ByteView> find_unsupported_option(std::span<const ByteView> words) noexcept {
  for (const ByteView word : words)
    if (!find_expire_word(word)) return word;
  return std::nullopt;
}

Result<ExpireConditions> parse_expire_conditions(std::span<const ByteView> words) {
  ExpireConditions conditions;
  for (const ByteView word : words) conditions.*find_expire_word(word)->member = true;
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) return Errc::nx_with_others;
  if (conditions.gt && conditions.lt) return Errc::gt_with_lt;
  return conditions;
}

}  // namespace larder
