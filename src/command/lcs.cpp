#include <algorithm>
#include <vector>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"
#include "command/limits.h"

namespace larder::commands {
namespace {

enum class Answer : std::uint8_t { text, length, ranges };

struct LcsOptions {
  bool len = false;
  bool idx = false;
  bool with_match_len = false;
  std::int64_t min_match_len = 0;

  [[nodiscard]] Answer answer() const noexcept {
    return idx ? Answer::ranges : len ? Answer::length : Answer::text;
  }
};

Result<LcsOptions> parse_lcs_options(std::span<const ByteView> words) {
  LcsOptions options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (equals_ignore_case(words[i], "idx")) {
      options.idx = true;
    } else if (equals_ignore_case(words[i], "len")) {
      options.len = true;
    } else if (equals_ignore_case(words[i], "withmatchlen")) {
      options.with_match_len = true;
    } else if (equals_ignore_case(words[i], "minmatchlen") && i + 1 < words.size()) {
      const Result<std::int64_t> length = integer_argument(words[++i]);
      if (!length) return length.error();
      options.min_match_len = *length;
    } else {
      return Errc::syntax;
    }
  }
  if (options.idx && options.len) return Errc::lcs_len_and_idx;
  return options;
}

/// Equal stretches of both strings, as offsets of their first bytes.
struct Match {
  std::size_t in_a, in_b, length;
};

/// The table of the longest common subsequences of all prefixes of two strings.
class LcsTable {
 public:
  LcsTable(ByteView a, ByteView b) : a_(a), b_(b), lengths_((a.size() + 1) * (b.size() + 1)) {
    for (std::size_t i = 1; i <= a.size(); ++i)
      for (std::size_t j = 1; j <= b.size(); ++j)
        at(i, j) = a[i - 1] == b[j - 1] ? at(i - 1, j - 1) + 1 : std::max(at(i - 1, j), at(i, j - 1));
  }

  [[nodiscard]] static std::uint64_t bytes_for(ByteView a, ByteView b) noexcept {
    return (std::uint64_t{a.size()} + 1) * (b.size() + 1) * sizeof(std::uint32_t);
  }

  [[nodiscard]] std::uint32_t length() const noexcept { return lengths_.back(); }

  /// The matching stretches, the last one first: the order in which Redis walks and answers.
  [[nodiscard]] std::vector<Match> matches() const {
    std::vector<Match> found;
    std::size_t i = a_.size(), j = b_.size();
    while (i > 0 && j > 0) {
      if (a_[i - 1] == b_[j - 1]) {
        --i, --j;
        add_byte(found, i, j);
      } else if (at(i - 1, j) > at(i, j - 1)) {
        --i;
      } else {
        --j;
      }
    }
    return found;
  }

 private:
  static void add_byte(std::vector<Match>& found, std::size_t i, std::size_t j) {
    if (!found.empty() && found.back().in_a == i + 1 && found.back().in_b == j + 1)
      found.back() = {i, j, found.back().length + 1};
    else
      found.push_back({i, j, 1});
  }

  [[nodiscard]] std::uint32_t& at(std::size_t i, std::size_t j) noexcept {
    return lengths_[i * (b_.size() + 1) + j];
  }
  [[nodiscard]] std::uint32_t at(std::size_t i, std::size_t j) const noexcept {
    return lengths_[i * (b_.size() + 1) + j];
  }

  const ByteView a_, b_;
  std::vector<std::uint32_t> lengths_;
};

Bytes common_text(ByteView a, const std::vector<Match>& matches) {
  Bytes text;
  for (auto match = matches.rbegin(); match != matches.rend(); ++match)
    text += a.substr(match->in_a, match->length);
  return text;
}

void append_range(ReplyWriter& reply, std::size_t start, std::size_t length) {
  reply.begin_array(2);
  reply.integer(static_cast<std::int64_t>(start));
  reply.integer(static_cast<std::int64_t>(start + length - 1));
}

void append_ranges(ReplyWriter& reply, const LcsTable& table, const LcsOptions& options) {
  std::vector<Match> matches = table.matches();
  std::erase_if(matches, [&](const Match& match) {
    return static_cast<std::int64_t>(match.length) < options.min_match_len;
  });
  reply.begin_map(2);
  reply.bulk("matches");
  reply.begin_array(matches.size());
  for (const Match& match : matches) {
    reply.begin_array(options.with_match_len ? 3 : 2);
    append_range(reply, match.in_a, match.length);
    append_range(reply, match.in_b, match.length);
    if (options.with_match_len) reply.integer(static_cast<std::int64_t>(match.length));
  }
  reply.bulk("len");
  reply.integer(table.length());
}

void append_answer(ReplyWriter& reply, ByteView a, const LcsTable& table, const LcsOptions& options) {
  switch (options.answer()) {
    case Answer::text:
      return reply.bulk(common_text(a, table.matches()));
    case Answer::length:
      return reply.integer(table.length());
    case Answer::ranges:
      return append_ranges(reply, table, options);
  }
}

}  // namespace

/// Source: the reply's order and the choice among equally long subsequences as Redis t_string.c lcsCommand().
void lcs(Call& call, Records& records) {
  const std::optional<Item> items[] = {records.find(call.key(1)), records.find(call.key(2))};
  for (const std::optional<Item>& item : items)
    if (item && item->type != Type::string) return append_error(call, Errc::lcs_of_non_strings);
  const Result<LcsOptions> options = parse_lcs_options(call.argv.subspan(3));
  if (!options) return append_error(call, options.error());
  const ByteView a = items[0] ? items[0]->value : ByteView();
  const ByteView b = items[1] ? items[1]->value : ByteView();
  if (LcsTable::bytes_for(a, b) > command_limits.max_string_bytes)
    return append_error(call, Errc::lcs_too_large);
  append_answer(call.reply, a, LcsTable(a, b), *options);
}

}  // namespace larder::commands
