#include "backend/redis/spread.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

struct SpreadRow {
  ByteView name;
  Spread spread;
};

// Sorted by name.
constexpr auto kSpreads = std::to_array<SpreadRow>({
    {"acl|deluser", Spread::all_agree},
    {"acl|load", Spread::all_agree},
    {"acl|save", Spread::all_agree},
    {"acl|setuser", Spread::all_agree},
    {"bgrewriteaof", Spread::all_agree},
    {"bgsave", Spread::all_agree},
    {"cluster|countkeysinslot", Spread::of_slot},
    {"cluster|getkeysinslot", Spread::of_slot},
    {"config|set", Spread::all_agree},
    {"dbsize", Spread::sum},
    {"del", Spread::counts},
    {"exists", Spread::counts},
    {"flushall", Spread::all_agree},
    {"flushdb", Spread::all_agree},
    {"function|delete", Spread::all_agree},
    {"function|flush", Spread::all_agree},
    {"function|kill", Spread::any_succeeds},
    {"function|load", Spread::all_agree},
    {"function|restore", Spread::all_agree},
    {"info", Spread::keyspace},
    {"keys", Spread::concatenate},
    {"mget", Spread::values},
    {"mset", Spread::pairs},
    {"pubsub|channels", Spread::unite},
    {"pubsub|numpat", Spread::sum},
    {"pubsub|numsub", Spread::sum_named},
    {"pubsub|shardchannels", Spread::unite},
    {"pubsub|shardnumsub", Spread::sum_named},
    {"randomkey", Spread::pick},
    {"save", Spread::all_agree},
    {"scan", Spread::scan},
    {"script|exists", Spread::every_flag},
    {"script|flush", Spread::all_agree},
    {"script|kill", Spread::any_succeeds},
    {"script|load", Spread::all_agree},
    {"touch", Spread::counts},
    {"unlink", Spread::counts},
    {"wait", Spread::least},
});
static_assert(std::ranges::is_sorted(kSpreads, {}, &SpreadRow::name));

bool is_error(ByteView reply) noexcept {
  return reply.starts_with('-') || reply.starts_with('!');
}

std::int64_t sum_of(std::span<const Bytes> parts) {
  std::int64_t sum = 0;
  for (const Bytes& part : parts) sum += ReplyCursor(part).next().integer();
  return sum;
}

std::int64_t least_of(std::span<const Bytes> parts) {
  std::int64_t least = INT64_MAX;
  for (const Bytes& part : parts) least = std::min(least, ReplyCursor(part).next().integer());
  return least;
}

/// A walk through an array reply, element by element.
class Elements {
 public:
  explicit Elements(ByteView reply)
      : cursor_(reply), left_(std::max<std::int64_t>(cursor_.next().count, 0)) {}

  [[nodiscard]] std::int64_t left() const noexcept { return left_; }

  /// The bytes of the next element; null when a node sent fewer than it was asked for.
  ByteView next() noexcept {
    if (left_ == 0) return "$-1\r\n";
    --left_;
    return cursor_.take();
  }

 private:
  ReplyCursor cursor_;
  std::int64_t left_;
};

std::vector<Elements> elements_of(std::span<const Bytes> parts) {
  std::vector<Elements> all;
  for (const Bytes& part : parts) all.emplace_back(part);
  return all;
}

void merge_values(std::span<const Bytes> parts, std::span<const std::uint32_t> part_of_key,
                  ReplyWriter& out) {
  std::vector<Elements> elements = elements_of(parts);
  out.begin_array(part_of_key.size());
  for (const std::uint32_t part : part_of_key) out.raw(elements[part].next());
}

void concatenate(std::span<const Bytes> parts, ReplyWriter& out) {
  std::vector<Elements> elements = elements_of(parts);
  std::int64_t total = 0;
  for (const Elements& one : elements) total += one.left();
  out.begin_array(static_cast<std::size_t>(total));
  for (Elements& one : elements)
    while (one.left() > 0) out.raw(one.next());
}

void unite(std::span<const Bytes> parts, ReplyWriter& out) {
  std::set<ByteView> all;
  for (Elements& one : elements_of(parts))
    while (one.left() > 0) all.insert(one.next());
  out.begin_array(all.size());
  for (const ByteView element : all) out.raw(element);
}

void sum_named(std::span<const Bytes> parts, ReplyWriter& out) {
  std::vector<Elements> elements = elements_of(parts);
  const std::int64_t count = elements.front().left();
  out.begin_array(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count / 2; ++i) {
    std::int64_t sum = 0;
    ByteView name;
    for (Elements& one : elements) {
      name = one.next();
      sum += ReplyCursor(one.next()).next().integer();
    }
    out.raw(name);
    out.integer(sum);
  }
}

void merge_flags(std::span<const Bytes> parts, ReplyWriter& out) {
  std::vector<Elements> elements = elements_of(parts);
  const std::int64_t count = elements.front().left();
  out.begin_array(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    bool everywhere = true;
    for (Elements& one : elements) everywhere &= one.next() == ":1\r\n";
    out.integer(everywhere ? 1 : 0);
  }
}

void pick_one(std::span<const Bytes> parts, ReplyWriter& out) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::vector<const Bytes*> candidates;
  for (const Bytes& part : parts)
    if (!ReplyCursor(part).next().is_null()) candidates.push_back(&part);
  if (candidates.empty()) return out.raw(parts.front());
  std::uniform_int_distribution<std::size_t> any(0, candidates.size() - 1);
  out.raw(*candidates[any(random)]);
}

/// `db0:keys=5,expires=1,avg_ttl=0` of all nodes as one line; a mean time to live cannot be summed.
void merge_keyspace(std::span<const Bytes> parts, ReplyWriter& out) {
  std::uint64_t keys = 0, expires = 0;
  const auto number_behind = [](ByteView text, ByteView name) {
    std::uint64_t number = 0;
    const std::size_t at = text.find(name);
    if (at != ByteView::npos)
      std::from_chars(text.data() + at + name.size(), text.data() + text.size(), number);
    return number;
  };
  for (const Bytes& part : parts) {
    keys += number_behind(part, "db0:keys=");
    expires += number_behind(part, ",expires=");
  }
  std::string text = "# Keyspace\r\n";
  if (keys > 0) text += fmt::format("db0:keys={},expires={},avg_ttl=0\r\n", keys, expires);
  out.verbatim("txt", text);
}

}  // namespace

Spread find_spread(ByteView name) noexcept {
  const auto found = std::ranges::lower_bound(kSpreads, name, {}, &SpreadRow::name);
  return found != kSpreads.end() && found->name == name ? found->spread : Spread::none;
}

void merge_replies(Spread spread, std::span<const Bytes> parts, std::span<const std::uint32_t> part_of_key,
                   ReplyWriter& out) {
  if (spread == Spread::any_succeeds) {
    const auto success = std::ranges::find_if_not(parts, is_error);
    if (success != parts.end()) return out.raw(*success);
    const auto idle = [](const Bytes& part) { return part.starts_with("-NOTBUSY "); };
    const auto problem = std::ranges::find_if_not(parts, idle);
    return out.raw(problem == parts.end() ? parts.front() : *problem);
  }
  if (const auto error = std::ranges::find_if(parts, is_error); error != parts.end()) return out.raw(*error);
  switch (spread) {
    case Spread::values:
      return merge_values(parts, part_of_key, out);
    case Spread::counts:
    case Spread::sum:
      return out.integer(sum_of(parts));
    case Spread::least:
      return out.integer(least_of(parts));
    case Spread::every_flag:
      return merge_flags(parts, out);
    case Spread::concatenate:
      return concatenate(parts, out);
    case Spread::unite:
      return unite(parts, out);
    case Spread::sum_named:
      return sum_named(parts, out);
    case Spread::pick:
      return pick_one(parts, out);
    case Spread::keyspace:
      return merge_keyspace(parts, out);
    default:
      return out.raw(parts.front());
  }
}

void merge_scan(ByteView part, ScanCursor asked, std::optional<std::uint16_t> next_slot, ReplyWriter& out) {
  ReplyCursor cursor(part);
  const ReplyCursor::Value reply = cursor.next();
  if (reply.type != '*' || reply.count != 2) return out.raw(part);
  const ByteView text = cursor.next().text;
  ScanCursor next = asked;
  std::from_chars(text.data(), text.data() + text.size(), next.of_node);
  if (next.of_node == 0) next = {0, next_slot.value_or(0)};
  out.begin_array(2);
  out.bulk(std::to_string(next.pack()));
  out.raw(cursor.take());
}

}  // namespace larder::redis
