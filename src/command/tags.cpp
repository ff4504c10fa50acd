#include "command/tags.h"

#include <algorithm>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"

namespace larder {
namespace {

/// Takes one option off the end of TAGINVALIDATE's words; false when the last one is none.
bool take_last_option(std::span<const ByteView>& words, InvalidateArguments& arguments) {
  const ByteView word = words.back();
  if (equals_ignore_case(word, "exact"))
    arguments.query.reach = TagQuery::Reach::exact;
  else if (equals_ignore_case(word, "all"))
    arguments.query.need = TagQuery::Need::all;
  else if (equals_ignore_case(word, "async"))
    arguments.sweep = Sweep::behind;
  else
    return false;
  words = words.first(words.size() - 1);
  return true;
}

/// One option of TAGKEYS and its value, taken off `words`.
Result<void> take_tagkeys_option(std::span<const ByteView>& words, TagKeysArguments& arguments) {
  const ByteView word = words[0];
  if (equals_ignore_case(word, "exact")) {
    arguments.query.reach = TagQuery::Reach::exact;
    words = words.subspan(1);
    return {};
  }
  if (words.size() < 2) return Errc::syntax;
  if (equals_ignore_case(word, "cursor")) {
    const Result<std::uint64_t> cursor = cursor_argument(words[1]);
    if (!cursor) return cursor.error();
    arguments.cursor = *cursor;
  } else if (equals_ignore_case(word, "count")) {
    const Result<std::int64_t> count = integer_argument(words[1]);
    if (!count) return count.error();
    if (*count < 1) return Errc::syntax;
    arguments.count = static_cast<std::size_t>(*count);
  } else {
    return Errc::syntax;
  }
  words = words.subspan(2);
  return {};
}

template <class Value>
Result<void> without_value(const Result<Value>& result) {
  if (!result) return result.error();
  return {};
}

Result<void> check_set_words(std::span<const ByteView> argv) {
  const std::span<const ByteView> words = argv.subspan(3);
  if (std::ranges::none_of(words, [](ByteView word) { return equals_ignore_case(word, "tags"); })) return {};
  const Result<WriteOptions> options = parse_set_options(words);
  if (!options || !options->tags) return without_value(options);
  return without_value(TagSet::parse(*options->tags));
}

}  // namespace

Result<InvalidateArguments> parse_taginvalidate(std::span<const ByteView> argv) {
  InvalidateArguments arguments;
  std::span<const ByteView> words = argv.subspan(1);
  while (words.size() > 1 && take_last_option(words, arguments)) {
  }
  // An empty word, which is no tag, ends the tags.
  if (words.size() > 1 && words.back().empty()) words = words.first(words.size() - 1);
  const Result<TagSet> tags = TagSet::parse(words);
  if (!tags) return tags.error();
  arguments.query.tags.assign(tags->begin(), tags->end());
  return arguments;
}

Result<TagQuery> parse_tagcount(std::span<const ByteView> argv) {
  if (const Result<void> checked = check_tag(argv[1]); !checked) return checked.error();
  TagQuery query{.tags = {Bytes(argv[1])}};
  for (const ByteView word : argv.subspan(2)) {
    if (!equals_ignore_case(word, "exact")) return Errc::syntax;
    query.reach = TagQuery::Reach::exact;
  }
  return query;
}

Result<TagKeysArguments> parse_tagkeys(std::span<const ByteView> argv) {
  if (const Result<void> checked = check_tag(argv[1]); !checked) return checked.error();
  TagKeysArguments arguments{.query = {.tags = {Bytes(argv[1])}}};
  for (std::span<const ByteView> words = argv.subspan(2); !words.empty();)
    if (const Result<void> taken = take_tagkeys_option(words, arguments); !taken) return taken.error();
  return arguments;
}

Result<void> check_tag_words(const CommandSpec& spec, std::span<const ByteView> argv) {
  if (spec.run == commands::set) return check_set_words(argv);
  if (spec.run == commands::tagadd || spec.run == commands::tagrem)
    return without_value(TagSet::parse(argv.subspan(2)));
  if (spec.name == "tagkeys") return without_value(parse_tagkeys(argv));
  if (spec.name == "tagcount") return without_value(parse_tagcount(argv));
  if (spec.name == "taginvalidate") return without_value(parse_taginvalidate(argv));
  return {};
}

bool is_about_tags(const CommandSpec& spec, std::span<const ByteView> argv) noexcept {
  constexpr std::size_t kShortest = 5;  // SET key value TAGS 0
  if (spec.run == commands::set && argv.size() >= kShortest) {
    const Result<WriteOptions> options = parse_set_options(argv.subspan(3));
    return options && options->tags;
  }
  return spec.name.starts_with("tag");
}

namespace commands {

void tagadd(Call& call, Records& records) {
  const Result<TagSet> added = TagSet::parse(call.argv.subspan(2));
  if (!added) return append_error(call, added.error());
  const KeyRef key = call.key(1);
  if (!records.find(key)) return call.reply.integer(0);
  TagSet tags = records.tags(key);
  const Result<std::size_t> count = tags.add(*added);
  if (!count) return append_error(call, count.error());
  if (*count > 0) records.set_tags(key, tags);
  call.reply.integer(static_cast<std::int64_t>(*count));
}

void tagrem(Call& call, Records& records) {
  const Result<TagSet> removed = TagSet::parse(call.argv.subspan(2));
  if (!removed) return append_error(call, removed.error());
  const KeyRef key = call.key(1);
  TagSet tags = records.tags(key);
  const std::size_t count = tags.remove(*removed);
  if (count > 0) records.set_tags(key, tags);
  call.reply.integer(static_cast<std::int64_t>(count));
}

void taglist(Call& call, Records& records) {
  const TagSet tags = records.tags(call.key(1));
  call.reply.begin_array(tags.size());
  for (const Bytes& tag : tags) call.reply.bulk(tag);
}

}  // namespace commands
}  // namespace larder
