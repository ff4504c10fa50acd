#include "command/keyspace_wide.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/glob.h"
#include "command/limits.h"
#include "command/tags.h"
#include "value/number.h"

namespace larder {
namespace {

/// One word and its value among SCAN's options.
Result<void> take_scan_option(ByteView word, ByteView value, ScanArguments& arguments) {
  if (equals_ignore_case(word, "count")) {
    const Result<std::int64_t> count = integer_argument(value);
    if (!count) return count.error();
    if (*count < 1) return Errc::syntax;
    arguments.count = static_cast<std::size_t>(*count);
  } else if (equals_ignore_case(word, "match")) {
    arguments.pattern = KeyPattern(value);
  } else if (equals_ignore_case(word, "type")) {
    arguments.type = value;
  } else {
    return Errc::syntax;
  }
  return {};
}

Result<int> swapped_database(ByteView text, Errc when_no_integer) {
  const Result<int> db = database_argument(text);
  if (!db && db.error() != Errc::db_index_out_of_range) return when_no_integer;
  return db;
}

void dbsize(Call& call, Keyspace& keyspace) {
  call.reply.integer(static_cast<std::int64_t>(keyspace.size(call.db)));
}

void flushall(Call& call, Keyspace& keyspace) {
  if (const Result<void> option = parse_flush(call.argv); !option) return append_error(call, option.error());
  keyspace.clear_all();
  call.reply.ok();
}

void flushdb(Call& call, Keyspace& keyspace) {
  if (const Result<void> option = parse_flush(call.argv); !option) return append_error(call, option.error());
  keyspace.clear(call.db);
  call.reply.ok();
}

void keys(Call& call, Keyspace& keyspace) {
  const KeyPattern pattern(call.argv[1]);
  std::vector<Bytes> found;
  keyspace.scan(call.db, 0, std::numeric_limits<std::size_t>::max(), call.now_ms,
                [&](ByteView key, const Item&) {
                  if (pattern.matches(key)) found.emplace_back(key);
                });
  append_keys(call.reply, found);
}

void randomkey(Call& call, Keyspace& keyspace) {
  Bytes key;
  const bool found = keyspace.random_key(call.db, call.now_ms, key);
  append_random_key(call.reply, found ? std::optional(std::move(key)) : std::nullopt);
}

void scan(Call& call, Keyspace& keyspace) {
  const Result<ScanArguments> arguments = parse_scan(call.argv);
  if (!arguments) return append_error(call, arguments.error());
  std::vector<Bytes> found;
  const std::uint64_t next = keyspace.scan(call.db, arguments->cursor, arguments->count, call.now_ms,
                                           [&](ByteView key, const Item& item) {
                                             if (arguments->matches(key, item.type)) found.emplace_back(key);
                                           });
  append_scan(call.reply, next, found);
}

void tagcount(Call& call, Keyspace& keyspace) {
  const Result<TagQuery> query = parse_tagcount(call.argv);
  if (!query) return append_error(call, query.error());
  call.reply.integer(static_cast<std::int64_t>(keyspace.count_tagged(call.db, *query, call.now_ms)));
}

/// ASYNC changes nothing here: the sweep takes less time than to hand it to somebody else.
void taginvalidate(Call& call, Keyspace& keyspace) {
  const Result<InvalidateArguments> arguments = parse_taginvalidate(call.argv);
  if (!arguments) return append_error(call, arguments.error());
  call.reply.integer(static_cast<std::int64_t>(keyspace.invalidate(call.db, arguments->query, call.now_ms)));
}

void tagkeys(Call& call, Keyspace& keyspace) {
  const Result<TagKeysArguments> arguments = parse_tagkeys(call.argv);
  if (!arguments) return append_error(call, arguments.error());
  std::vector<Bytes> found;
  const std::uint64_t next =
      keyspace.scan_tagged(call.db, arguments->query, arguments->cursor, arguments->count, call.now_ms,
                           [&found](ByteView key) { found.emplace_back(key); });
  append_scan(call.reply, next, found);
}

void swapdb(Call& call, Keyspace& keyspace) {
  const Result<std::pair<int, int>> databases = parse_swapdb(call.argv);
  if (!databases) return append_error(call, databases.error());
  keyspace.swap(databases->first, databases->second);
  call.reply.ok();
}

struct WideRow {
  ByteView name;
  void (*run)(Call&, Keyspace&);
};

constexpr WideRow kWideRows[] = {
    {"dbsize", dbsize},   {"flushall", flushall},   {"flushdb", flushdb},
    {"keys", keys},       {"randomkey", randomkey}, {"scan", scan},
    {"swapdb", swapdb},   {"tagcount", tagcount},   {"taginvalidate", taginvalidate},
    {"tagkeys", tagkeys},
};

}  // namespace

bool KeyPattern::matches(ByteView key) const noexcept {
  return matches_all() || glob_matches(pattern_, key);
}

bool ScanArguments::matches(ByteView key, Type key_type) const noexcept {
  return (!type || equals_ignore_case(*type, type_name(key_type))) && pattern.matches(key);
}

Result<ScanArguments> parse_scan(std::span<const ByteView> argv) {
  const Result<std::uint64_t> cursor = cursor_argument(argv[1]);
  if (!cursor) return cursor.error();
  ScanArguments arguments;
  arguments.cursor = *cursor;
  for (std::size_t i = 2; i < argv.size(); i += 2) {
    if (i + 1 == argv.size()) return Errc::syntax;
    const Result<void> taken = take_scan_option(argv[i], argv[i + 1], arguments);
    if (!taken) return taken.error();
  }
  return arguments;
}

Result<void> parse_flush(std::span<const ByteView> argv) {
  if (argv.size() == 1) return {};
  const bool known = equals_ignore_case(argv[1], "async") || equals_ignore_case(argv[1], "sync");
  if (argv.size() > 2 || !known) return Errc::syntax;
  return {};
}

Result<std::pair<int, int>> parse_swapdb(std::span<const ByteView> argv) {
  // Both must be numbers before either is looked at as an index.
  const Result<int> first = swapped_database(argv[1], Errc::bad_first_db_index);
  if (!first && first.error() == Errc::bad_first_db_index) return first.error();
  const Result<int> second = swapped_database(argv[2], Errc::bad_second_db_index);
  if (!second) return second.error();
  if (!first) return first.error();
  return std::pair(*first, *second);
}

void append_scan(ReplyWriter& reply, std::uint64_t next_cursor, std::span<const Bytes> keys) {
  reply.begin_array(2);
  reply.bulk(IntegerText(static_cast<std::int64_t>(next_cursor)).view());
  append_keys(reply, keys);
}

void append_keys(ReplyWriter& reply, std::span<const Bytes> keys) {
  reply.begin_array(keys.size());
  for (const Bytes& key : keys) reply.bulk(key);
}

void append_random_key(ReplyWriter& reply, const std::optional<Bytes>& key) {
  if (key)
    reply.bulk(*key);
  else
    reply.null();
}

void run_on_keyspace(const CommandSpec& spec, Call& call, Keyspace& keyspace) {
  const WideRow* const row = std::ranges::find(kWideRows, spec.name, &WideRow::name);
  assert(row != std::end(kWideRows));
  row->run(call, keyspace);
}

}  // namespace larder
