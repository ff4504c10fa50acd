#include "command/introspection.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "command/docs.h"
#include "command/error_reply.h"
#include "command/glob.h"
#include "command/help.h"

namespace larder {
namespace {

using Names = std::span<const ByteView>;

bool is_subcommand(const CommandSpec& spec) noexcept {
  return spec.name.find('|') != ByteView::npos;
}

/// Any command by its full name: `get`, `config|get`.
const CommandSpec* find_by_full_name(ByteView name) noexcept {
  const std::size_t bar = name.find('|');
  const CommandSpec* const spec = find_command(name.substr(0, bar));
  if (bar == ByteView::npos || !spec) return spec;
  return find_subcommand(*spec, name.substr(bar + 1));
}

std::vector<const CommandSpec*> subcommands_of(const CommandSpec& container) {
  std::vector<const CommandSpec*> found;
  if (!container.flags.has(Flag::container)) return found;
  const CommandSpec* const end = all_commands().data() + all_commands().size();
  for (const CommandSpec* spec = &container + 1; spec != end && is_subcommand(*spec); ++spec)
    found.push_back(spec);
  return found;
}

std::vector<const CommandSpec*> top_level_commands() {
  std::vector<const CommandSpec*> found;
  for (const CommandSpec& spec : all_commands())
    if (!is_subcommand(spec)) found.push_back(&spec);
  return found;
}

void append_words(ReplyWriter& reply, std::span<const ByteView> words) {
  reply.begin_set(words.size());
  for (const ByteView word : words) reply.simple(word);
}

// --- COMMAND INFO ---

struct FlagName {
  Flag flag;
  ByteView name;
};

// In Redis' order.
constexpr FlagName kFlagNames[] = {
    {Flag::write, "write"},
    {Flag::readonly, "readonly"},
    {Flag::denyoom, "denyoom"},
    {Flag::admin, "admin"},
    {Flag::pubsub, "pubsub"},
    {Flag::noscript, "noscript"},
    {Flag::blocking, "blocking"},
    {Flag::loading, "loading"},
    {Flag::stale, "stale"},
    {Flag::skip_monitor, "skip_monitor"},
    {Flag::skip_slowlog, "skip_slowlog"},
    {Flag::fast, "fast"},
    {Flag::no_auth, "no_auth"},
    {Flag::no_multi, "no_multi"},
    {Flag::movablekeys, "movablekeys"},
    {Flag::allow_busy, "allow_busy"},
};

std::vector<ByteView> flag_names(const CommandSpec& spec) {
  std::vector<ByteView> names;
  for (const FlagName& known : kFlagNames)
    if (spec.flags.has(known.flag)) names.push_back(known.name);
  return names;
}

bool is_one_of(ByteView name, Names names) noexcept {
  return std::ranges::find(names, name) != names.end();
}

// Where the group of the documentation does not say the category.
constexpr ByteView kAboutKeyspace[] = {"dbsize", "flushall", "flushdb", "swapdb"};
constexpr ByteView kDangerous[] = {"flushall", "flushdb", "info", "keys", "swapdb"};

/// `@keyspace` and the like; none for a container that cannot be called by itself.
ByteView subject_category(const CommandSpec& spec) noexcept {
  const bool is_mere_container = spec.flags.has(Flag::container) && spec.arity == -2;
  if (is_mere_container || spec.name.starts_with("memory|")) return {};
  const ByteView group = doc_of(spec.name).group;
  if (group == "generic" || is_one_of(spec.name, kAboutKeyspace)) return "@keyspace";
  if (group == "string") return "@string";
  return group == "connection" || spec.name.starts_with("command") ? "@connection" : ByteView();
}

/// ACL categories in Redis' order.
std::vector<ByteView> categories(const CommandSpec& spec) {
  const ByteView subject = subject_category(spec);
  std::vector<ByteView> found;
  if (subject == "@keyspace") found.push_back(subject);
  if (spec.flags.has(Flag::readonly)) found.push_back("@read");
  if (spec.flags.has(Flag::write)) found.push_back("@write");
  if (subject == "@string") found.push_back(subject);
  if (spec.flags.has(Flag::admin)) found.push_back("@admin");
  found.push_back(spec.flags.has(Flag::fast) ? "@fast" : "@slow");
  if (spec.flags.has(Flag::admin) || is_one_of(spec.name, kDangerous)) found.push_back("@dangerous");
  if (subject == "@connection") found.push_back(subject);
  return found;
}

/// What a command does to its first key, or to all of them, and to its second.
struct KeyAccess {
  ByteView command;
  ByteView first;
  ByteView second = {};
};

// Those that are not `RO access` or `RW access update`.
constexpr KeyAccess kKeyAccess[] = {
    {"append", "RW insert"},
    {"copy", "RO access", "OW update"},
    {"del", "RM delete"},
    {"exists", "RO"},
    {"expire", "RW update"},
    {"expireat", "RW update"},
    {"getdel", "RW access delete"},
    {"memory|usage", "RO"},
    {"mset", "OW update"},
    {"msetnx", "OW insert"},
    {"object|encoding", "RO"},
    {"object|freq", "RO"},
    {"object|idletime", "RO"},
    {"object|refcount", "RO"},
    {"persist", "RW update"},
    {"pexpire", "RW update"},
    {"pexpireat", "RW update"},
    {"psetex", "OW update"},
    {"rename", "RW access delete", "OW update"},
    {"renamenx", "RW access delete", "OW insert"},
    {"set", "RW access update variable_flags"},
    {"setex", "OW update"},
    {"setnx", "OW insert"},
    {"setrange", "RW update"},
    {"strlen", "RO"},
    {"touch", "RO"},
    {"type", "RO"},
    {"unlink", "RM delete"},
};

KeyAccess key_access(const CommandSpec& spec) noexcept {
  const KeyAccess* const known = std::ranges::find(kKeyAccess, spec.name, &KeyAccess::command);
  if (known != std::end(kKeyAccess)) return *known;
  return {spec.name, spec.flags.has(Flag::readonly) ? "RO access" : "RW access update"};
}

std::vector<ByteView> split_words(ByteView text) {
  std::vector<ByteView> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

void append_key_spec(ReplyWriter& reply, ByteView access, int first, int last_offset, int step) {
  reply.begin_map(3);
  reply.bulk("flags");
  append_words(reply, split_words(access));
  reply.bulk("begin_search");
  reply.begin_map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.begin_map(1);
  reply.bulk("index");
  reply.integer(first);
  reply.bulk("find_keys");
  reply.begin_map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.begin_map(3);
  reply.bulk("lastkey");
  reply.integer(last_offset);
  reply.bulk("keystep");
  reply.integer(step);
  reply.bulk("limit");
  reply.integer(0);
}

void append_key_specs(ReplyWriter& reply, const CommandSpec& spec) {
  const auto [first, last, step] = spec.keys;
  const KeyAccess access = key_access(spec);
  if (step == 0) return reply.begin_set(0);
  if (access.second.empty()) {
    reply.begin_set(1);
    return append_key_spec(reply, access.first, first, last < 0 ? last : last - first, step);
  }
  reply.begin_set(2);
  append_key_spec(reply, access.first, first, 0, step);
  append_key_spec(reply, access.second, last, 0, step);
}

void append_info(ReplyWriter& reply, const CommandSpec& spec) {
  reply.begin_array(10);
  reply.bulk(spec.name);
  reply.integer(spec.arity);
  append_words(reply, flag_names(spec));
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);
  append_words(reply, categories(spec));
  reply.begin_set(0);  // tips are for clients that spread commands over the nodes of a cluster
  append_key_specs(reply, spec);
  const std::vector<const CommandSpec*> subcommands = subcommands_of(spec);
  if (subcommands.empty()) return reply.begin_set(0);
  reply.begin_array(subcommands.size());
  for (const CommandSpec* const subcommand : subcommands) append_info(reply, *subcommand);
}

void info_of_all(Names, ReplyWriter& reply) {
  const std::vector<const CommandSpec*> commands = top_level_commands();
  reply.begin_array(commands.size());
  for (const CommandSpec* const spec : commands) append_info(reply, *spec);
}

void info(Names argv, ReplyWriter& reply) {
  const Names names = argv.subspan(2);
  if (names.empty()) return info_of_all(argv, reply);
  reply.begin_array(names.size());
  for (const ByteView name : names) {
    if (const CommandSpec* const spec = find_by_full_name(name))
      append_info(reply, *spec);
    else
      reply.null();
  }
}

// --- COMMAND DOCS ---

/// The fields of a map whose size is known only when all have been looked at.
class MapWriter {
 public:
  explicit MapWriter(ReplyWriter& reply) : reply_(reply), fields_writer_(fields_, reply.protocol()) {}
  MapWriter(const MapWriter&) = delete;
  MapWriter& operator=(const MapWriter&) = delete;
  ~MapWriter() {
    reply_.begin_map(count_);
    reply_.raw(fields_);
  }

  /// Begins a field; its value is written next.
  ReplyWriter& field(ByteView name) {
    ++count_;
    fields_writer_.bulk(name);
    return fields_writer_;
  }

  void text_unless_empty(ByteView name, ByteView text) {
    if (!text.empty()) field(name).bulk(text);
  }

 private:
  ReplyWriter& reply_;
  Bytes fields_;
  ReplyWriter fields_writer_;
  std::size_t count_ = 0;
};

void append_arguments(ReplyWriter& reply, std::span<const ArgumentDoc> arguments);

void append_argument(ReplyWriter& reply, const ArgumentDoc& argument) {
  MapWriter map(reply);
  map.field("name").bulk(argument.name);
  map.field("type").bulk(argument.type);
  if (argument.type == "key") map.field("key_spec_index").integer(argument.key_spec);
  map.text_unless_empty("token", argument.token);
  map.text_unless_empty("since", argument.since);
  std::vector<ByteView> flags;
  for (std::size_t bit = 0; bit < std::size(kArgumentFlags); ++bit)
    if (argument.flags & 1u << bit) flags.push_back(kArgumentFlags[bit]);
  if (!flags.empty()) append_words(map.field("flags"), flags);
  if (!argument.arguments.empty()) append_arguments(map.field("arguments"), argument.arguments);
}

void append_arguments(ReplyWriter& reply, std::span<const ArgumentDoc> arguments) {
  reply.begin_array(arguments.size());
  for (const ArgumentDoc& argument : arguments) append_argument(reply, argument);
}

void append_docs(ReplyWriter& reply, std::span<const CommandSpec* const> commands);

void append_doc(ReplyWriter& reply, const CommandSpec& spec) {
  const CommandDoc& doc = doc_of(spec.name);
  MapWriter map(reply);
  map.field("summary").bulk(doc.summary);
  map.field("since").bulk(doc.since);
  map.field("group").bulk(doc.group);
  map.text_unless_empty("complexity", doc.complexity);
  if (!doc.deprecated_since.empty()) {
    append_words(map.field("doc_flags"), std::vector<ByteView>{"deprecated"});
    map.field("deprecated_since").bulk(doc.deprecated_since);
    map.field("replaced_by").bulk(doc.replaced_by);
  }
  if (!doc.arguments.empty()) append_arguments(map.field("arguments"), doc.arguments);
  const std::vector<const CommandSpec*> subcommands = subcommands_of(spec);
  if (!subcommands.empty()) append_docs(map.field("subcommands"), subcommands);
}

void append_docs(ReplyWriter& reply, std::span<const CommandSpec* const> commands) {
  reply.begin_map(commands.size());
  for (const CommandSpec* const spec : commands) {
    reply.bulk(spec->name);
    append_doc(reply, *spec);
  }
}

void docs(Names argv, ReplyWriter& reply) {
  if (argv.size() == 2) return append_docs(reply, top_level_commands());
  std::vector<const CommandSpec*> found;
  for (const ByteView name : argv.subspan(2))
    if (const CommandSpec* const spec = find_by_full_name(name)) found.push_back(spec);
  append_docs(reply, found);
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
  if (!filter) return append_error(reply, Errc::syntax);
  std::vector<ByteView> names;
  for (const CommandSpec& spec : all_commands())
    if (filter->passes(spec)) names.push_back(spec.name);
  reply.begin_array(names.size());
  for (const ByteView name : names) reply.bulk(name);
}

// --- COMMAND GETKEYS and GETKEYSANDFLAGS ---

/// The row a whole request would run, its subcommand resolved.
const CommandSpec* find_for_request(Names request) noexcept {
  const CommandSpec* const spec = find_command(request[0]);
  if (!spec || !spec->flags.has(Flag::container) || request.size() == 1) return spec;
  return find_subcommand(*spec, request[1]);
}

/// The rows that COMMAND GETKEYS can say something about. Errors: as Redis, in its order.
Result<const CommandSpec*> command_with_keys(Names request) {
  const CommandSpec* const spec = find_for_request(request);
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
    const bool reads = std::ranges::any_of(request.subspan(3),
                                           [](ByteView word) { return equals_ignore_case(word, "get"); });
    return reads ? "RW access update" : "OW update";
  }
  const KeyAccess access = key_access(spec);
  return key_number == 1 && !access.second.empty() ? access.second : access.first;
}

void getkeys(Names argv, ReplyWriter& reply) {
  const Names request = argv.subspan(2);
  const Result<const CommandSpec*> spec = command_with_keys(request);
  if (!spec) return append_error(reply, static_cast<Errc>(spec.error().value()));
  const std::vector<ByteView> keys = keys_of(**spec, request);
  reply.begin_array(keys.size());
  for (const ByteView key : keys) reply.bulk(key);
}

void getkeysandflags(Names argv, ReplyWriter& reply) {
  const Names request = argv.subspan(2);
  const Result<const CommandSpec*> spec = command_with_keys(request);
  if (!spec) return append_error(reply, static_cast<Errc>(spec.error().value()));
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
