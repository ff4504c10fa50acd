#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"

namespace larder::commands {
namespace {

enum class IfTaken : std::uint8_t { replace, refuse };

struct CopyOptions {
  int db;
  IfTaken if_taken = IfTaken::refuse;
};

Result<CopyOptions> parse_copy_options(const Call& call) {
  CopyOptions options{.db = call.db};
  const std::span<const ByteView> words = call.argv.subspan(3);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (equals_ignore_case(words[i], "replace")) {
      options.if_taken = IfTaken::replace;
    } else if (equals_ignore_case(words[i], "db") && i + 1 < words.size()) {
      const Result<int> db = database_argument(words[++i]);
      if (!db) return db.error();
      options.db = *db;
    } else {
      return Errc::syntax;
    }
  }
  return options;
}

bool is_same(const KeyRef& a, const KeyRef& b) noexcept {
  return a.db == b.db && a.bytes == b.bytes;
}

void delete_keys(Call& call, Records& records) {
  std::int64_t deleted = 0;
  for (std::size_t i = 1; i < call.argv.size(); ++i) deleted += records.erase(call.key(i));
  call.reply.integer(deleted);
}

/// Puts `source`, which lies under `from`, under the key `to`, with its expiry and tags.
void put_copy(Records& records, const KeyRef& from, const KeyRef& to, const Item& source) {
  records.put(to, source.value, source.expire_at);
  records.carry_tags(from, to);
}

/// RENAME and RENAMENX; true when the key has its new name.
bool rename_key(Records& records, const KeyRef& from, const KeyRef& to, const Item& source,
                IfTaken if_taken) {
  if (if_taken == IfTaken::refuse && records.find(to)) return false;
  if (is_same(from, to)) return true;
  put_copy(records, from, to, source);
  records.erase(from);
  return true;
}

}  // namespace

void del(Call& call, Records& records) {
  delete_keys(call, records);
}

void exists(Call& call, Records& records) {
  std::int64_t found = 0;
  for (std::size_t i = 1; i < call.argv.size(); ++i) found += records.find(call.key(i)).has_value();
  call.reply.integer(found);
}

void type(Call& call, Records& records) {
  const std::optional<Item> item = records.find(call.key(1));
  call.reply.simple(type_name(item ? item->type : Type::none));
}

void rename(Call& call, Records& records) {
  const KeyRef from = call.key(1);
  const std::optional<Item> source = records.find(from);
  if (!source) return append_error(call, Errc::no_such_key);
  rename_key(records, from, call.key(2), *source, IfTaken::replace);
  call.reply.ok();
}

void renamenx(Call& call, Records& records) {
  const KeyRef from = call.key(1);
  const std::optional<Item> source = records.find(from);
  if (!source) return append_error(call, Errc::no_such_key);
  call.reply.integer(rename_key(records, from, call.key(2), *source, IfTaken::refuse));
}

void copy(Call& call, Records& records) {
  const Result<CopyOptions> options = parse_copy_options(call);
  if (!options) return append_error(call, options.error());
  const KeyRef from = call.key(1);
  const KeyRef to(options->db, call.argv[2]);
  if (is_same(from, to)) return append_error(call, Errc::same_object);
  const std::optional<Item> source = records.find(from);
  const bool is_free = options->if_taken == IfTaken::replace || !records.find(to);
  if (!source || !is_free) return call.reply.integer(0);
  put_copy(records, from, to, *source);
  call.reply.integer(1);
}

void move(Call& call, Records& records) {
  const Result<int> db = database_argument(call.argv[2]);
  if (!db) return append_error(call, db.error());
  if (*db == call.db) return append_error(call, Errc::same_object);
  const KeyRef from = call.key(1);
  const KeyRef to(*db, call.argv[1]);
  const std::optional<Item> source = records.find(from);
  if (!source || records.find(to)) return call.reply.integer(0);
  put_copy(records, from, to, *source);
  records.erase(from);
  call.reply.integer(1);
}

void find_copy_keys(const Call& call, std::vector<KeyRef>& keys) {
  keys.push_back(call.key(1));
  // With options that are wrong the handler answers the error and touches nothing.
  if (const Result<CopyOptions> options = parse_copy_options(call))
    keys.emplace_back(options->db, call.argv[2]);
}

void find_move_keys(const Call& call, std::vector<KeyRef>& keys) {
  keys.push_back(call.key(1));
  if (const Result<int> db = database_argument(call.argv[2])) keys.emplace_back(*db, call.argv[1]);
}

}  // namespace larder::commands
