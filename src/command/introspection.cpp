#include "command/introspection.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "command/arguments.h"
#include "command/command_docs.h"
#include "command/command_info.h"
#include "command/error_reply.h"
#include "command/glob.h"
#include "command/help.h"
#include "resp/reply_cursor.h"

namespace larder {
namespace {

using Names = std::span<const ByteView>;

/// Any command by its full name: `get`, `config|get`.
const CommandSpec* find_by_full_name(ByteView name) noexcept {
  const std::size_t bar = name.find('|');
  const CommandSpec* const spec = find_command(name.substr(0, bar));
  if (bar == ByteView::npos || !spec) return spec;
  return find_subcommand(*spec, name.substr(bar + 1));
}

std::vector<const CommandSpec*> top_level_commands() {
  std::vector<const CommandSpec*> found;
  for (const CommandSpec& spec : all_commands())
    if (!is_subcommand(spec)) found.push_back(&spec);
  return found;
}

void info_of_all(Names, ReplyWriter& reply) {
  const std::vector<const CommandSpec*> commands = top_level_commands();
  reply.begin_array(commands.size());
  for (const CommandSpec* const spec : commands) append_command_info(reply, *spec);
}

void info(Names argv, ReplyWriter& reply) {
  const Names names = argv.subspan(2);
  if (names.empty()) return info_of_all(argv, reply);
  reply.begin_array(names.size());
  for (const ByteView name : names) {
    if (const CommandSpec* const spec = find_by_full_name(name))
      append_command_info(reply, *spec);
    else
      reply.null();
  }
}

void docs(Names argv, ReplyWriter& reply) {
  if (argv.size() == 2) return append_command_docs(reply, top_level_commands());
  std::vector<const CommandSpec*> found;
  for (const ByteView name : argv.subspan(2))
    if (const CommandSpec* const spec = find_by_full_name(name)) found.push_back(spec);
  append_command_docs(reply, found);
}

// --- COMMAND COUNT and LIST ---

void count(Names, ReplyWriter& reply) {
  reply.integer(static_cast<std::int64_t>(top_level_commands().size()));
}

/// What COMMAND LIST FILTERBY asks of a command.
struct ListFilter {
  ByteView kind;  ///< `module`, `aclcat`, `pattern`; empty: everything passes
  ByteView value;

  [[nodiscard]] bool passes(const CommandSpec& spec) const {
    if (kind.empty()) return true;
    if (kind == "pattern") return glob_matches(value, spec.name, LetterCase::ignored);
    if (kind == "module") return false;  // we have none
    const std::vector<ByteView> known = categories(spec);
    return std::ranges::any_of(
        known, [this](ByteView category) { return equals_ignore_case(value, category.substr(1)); });
  }
};

Result<ListFilter> parse_list_filter(Names words) {
  if (words.empty()) return ListFilter{};
  if (words.size() != 3 || !equals_ignore_case(words[0], "filterby")) return Errc::syntax;
  for (const ByteView kind : {"module", "aclcat", "pattern"})
    if (equals_ignore_case(words[1], kind)) return ListFilter{kind, words[2]};
  return Errc::syntax;
}

void list(Names argv, ReplyWriter& reply) {
  const Result<ListFilter> filter = parse_list_filter(argv.subspan(2));
  if (!filter) return append_error(reply, filter.error());
  std::vector<ByteView> names;
  for (const CommandSpec& spec : all_commands())
    if (filter->passes(spec)) names.push_back(spec.name);
  reply.begin_array(names.size());
  for (const ByteView name : names) reply.bulk(name);
}

// --- COMMAND GETKEYS and GETKEYSANDFLAGS ---

/// The rows that COMMAND GETKEYS can say something about. Errors: as Redis, in its order.
Result<const CommandSpec*> command_with_keys(Names request) {
  const CommandSpec* const spec = find_row(request);
  if (!spec) return Errc::invalid_command;
  if (spec->keys.step == 0) return Errc::no_key_arguments;
  if (!spec->accepts(request.size())) return Errc::invalid_argument_count;
  return spec;
}

std::vector<ByteView> keys_of(const CommandSpec& spec, Names request) {
  const int size = static_cast<int>(request.size());
  const int last = spec.keys.last < 0 ? size + spec.keys.last : spec.keys.last;
  std::vector<ByteView> keys;
  for (int i = spec.keys.first; i <= last; i += spec.keys.step)
    keys.push_back(request[static_cast<std::size_t>(i)]);
  return keys;
}

/// SET reads the key only when it has a GET option; all others do the same every time.
ByteView access_of(const CommandSpec& spec, Names request, std::size_t key_number) {
  if (spec.name == "set") {
    const Result<WriteOptions> options = parse_set_options(request.subspan(3));
    const bool reads = options && options->returns_old_value;
    return reads ? "RW access update" : "OW update";
  }
  const KeyAccess access = key_access(spec);
  return key_number == 1 && !access.second.empty() ? access.second : access.first;
}

void getkeys(Names argv, ReplyWriter& reply) {
  const Names request = argv.subspan(2);
  const Result<const CommandSpec*> spec = command_with_keys(request);
  if (!spec) return append_error(reply, spec.error());
  const std::vector<ByteView> keys = keys_of(**spec, request);
  reply.begin_array(keys.size());
  for (const ByteView key : keys) reply.bulk(key);
}

void getkeysandflags(Names argv, ReplyWriter& reply) {
  const Names request = argv.subspan(2);
  const Result<const CommandSpec*> spec = command_with_keys(request);
  if (!spec) return append_error(reply, spec.error());
  const std::vector<ByteView> keys = keys_of(**spec, request);
  reply.begin_array(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    reply.begin_array(2);
    reply.bulk(keys[i]);
    append_words(reply, split_words(access_of(**spec, request, i)));
  }
}

void help(Names, ReplyWriter& reply) {
  append_help(reply, "command");
}

// --- in front of a Redis ---

/// No Redis has it.
bool is_own(const CommandSpec& spec) noexcept {
  return spec.name.starts_with("tag") || spec.name.starts_with("larder");
}

std::vector<const CommandSpec*> own_commands() {
  std::vector<const CommandSpec*> own = top_level_commands();
  std::erase_if(own, [](const CommandSpec* spec) { return !is_own(*spec); });
  return own;
}

void copy_values(ReplyCursor& from, std::int64_t count, ReplyWriter& reply) {
  for (; count > 0; --count) reply.raw(from.take());
}

void complete_info(Names argv, ByteView upstream, ReplyWriter& reply) {
  ReplyCursor cursor(upstream);
  const std::int64_t count = cursor.next().count;
  if (argv.size() > 2) {
    reply.begin_array(static_cast<std::size_t>(count));
    for (const ByteView name : argv.subspan(2)) {
      const CommandSpec* const spec = find_by_full_name(name);
      const ByteView known = cursor.take();
      if (spec != nullptr && is_own(*spec))
        append_command_info(reply, *spec);
      else
        reply.raw(known);
    }
    return;
  }
  const std::vector<const CommandSpec*> own = own_commands();
  reply.begin_array(static_cast<std::size_t>(count) + own.size());
  copy_values(cursor, count, reply);
  for (const CommandSpec* const spec : own) append_command_info(reply, *spec);
}

void complete_count(Names, ByteView upstream, ReplyWriter& reply) {
  reply.integer(ReplyCursor(upstream).next().integer() + static_cast<std::int64_t>(own_commands().size()));
}

void complete_list(Names argv, ByteView upstream, ReplyWriter& reply) {
  const Result<ListFilter> filter = parse_list_filter(argv.subspan(2));
  std::vector<ByteView> names;
  for (const CommandSpec& spec : all_commands())
    if (is_own(spec) && filter && filter->passes(spec)) names.push_back(spec.name);
  ReplyCursor cursor(upstream);
  const std::int64_t count = cursor.next().count;
  reply.begin_array(static_cast<std::size_t>(count) + names.size());
  copy_values(cursor, count, reply);
  for (const ByteView name : names) reply.bulk(name);
}

/// SET has more to it than Redis knows.
void complete_docs(Names argv, ByteView upstream, ReplyWriter& reply) {
  std::vector<const CommandSpec*> own;
  if (argv.size() == 2) {
    own = own_commands();
    own.push_back(find_command("set"));
  }
  for (const ByteView name : argv.subspan(2))
    if (const CommandSpec* const spec = find_by_full_name(name);
        spec != nullptr && (is_own(*spec) || spec->name == "set"))
      own.push_back(spec);
  ReplyCursor cursor(upstream);
  std::vector<ByteView> pairs;
  for (std::int64_t left = cursor.next().count / 2; left > 0; --left) {
    const ByteView name = cursor.take(), doc = cursor.take();
    if (ReplyCursor(name).next().text != "set") pairs.insert(pairs.end(), {name, doc});
  }
  reply.begin_map(pairs.size() / 2 + own.size());
  for (const ByteView part : pairs) reply.raw(part);
  append_doc_pairs(reply, own);
}

void pass_through(Names, ByteView upstream, ReplyWriter& reply) {
  reply.raw(upstream);
}

struct Row {
  ByteView name;
  void (*run)(Names argv, ReplyWriter& reply);
  void (*complete)(Names argv, ByteView upstream, ReplyWriter& reply);
};

constexpr Row kRows[] = {
    {"command", info_of_all, complete_info},
    {"command|count", count, complete_count},
    {"command|docs", docs, complete_docs},
    {"command|getkeys", getkeys, pass_through},
    {"command|getkeysandflags", getkeysandflags, pass_through},
    {"command|help", help, pass_through},
    {"command|info", info, complete_info},
    {"command|list", list, complete_list},
};

const Row& row_of(const CommandSpec& spec) noexcept {
  const Row* const row = std::ranges::find(kRows, spec.name, &Row::name);
  assert(row != std::end(kRows));
  return *row;
}

}  // namespace

void run_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ReplyWriter& reply) {
  row_of(spec).run(argv, reply);
}

bool is_for_redis(const CommandSpec& spec, std::span<const ByteView> argv) noexcept {
  if (!spec.name.starts_with("command|getkeys")) return true;
  const CommandSpec* const asked_about = find_row(argv.subspan(2));
  return asked_about == nullptr || !is_own(*asked_about);
}

void complete_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ByteView upstream,
                            ReplyWriter& reply) {
  if (ReplyCursor(upstream).next().is_error()) return reply.raw(upstream);
  row_of(spec).complete(argv, upstream, reply);
}

}  // namespace larder
