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

struct Row {
  ByteView name;
  void (*run)(Names argv, ReplyWriter& reply);
};

constexpr Row kRows[] = {
    {"command", info_of_all},
    {"command|count", count},
    {"command|docs", docs},
    {"command|getkeys", getkeys},
    {"command|getkeysandflags", getkeysandflags},
    {"command|help", help},
    {"command|info", info},
    {"command|list", list},
};

}  // namespace

void run_introspection(const CommandSpec& spec, std::span<const ByteView> argv, ReplyWriter& reply) {
  const Row* const row = std::ranges::find(kRows, spec.name, &Row::name);
  assert(row != std::end(kRows));
  row->run(argv, reply);
}

}  // namespace larder
