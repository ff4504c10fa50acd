#include "backend/redis/tag_requests.h"

#include <algorithm>

#include <boost/unordered/unordered_flat_set.hpp>
#include <fmt/format.h>

#include "backend/block.h"
#include "backend/redis/handshake.h"
#include "backend/redis/slot_question.h"
#include "backend/redis/tag_listing.h"
#include "backend/redis/tag_record.h"
#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/tags.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

/// What one step may look at: the keys of a tag, the tags of each of them, and 5 for the tag itself. Of keys
/// with one or two tags so much took Redis about 5 ms, of keys with 32 tags of their own 12 ms.
constexpr ByteView kMostInTransaction = "5000";

/// These work whatever scripts Redis has forgotten: they stand for commands of Redis that know nothing of
/// tags, or are in a transaction, which must not be done in part.
bool goes_whole(TagScript script) noexcept {
  switch (script) {
    case TagScript::carry:
    case TagScript::move:
    case TagScript::whole:
    case TagScript::size:
    case TagScript::slot:
    case TagScript::pick:
    case TagScript::journal:
      return true;
    default:
      return false;
  }
}

/// When a SET with these options has written, seen from its reply.
ByteView when_written(const WriteOptions& options) noexcept {
  if (!options.returns_old_value) return "answered";
  if (options.condition == Condition::none) return "always";
  return options.condition == Condition::if_absent ? "absent" : "answered";
}

/// The database that COPY names; empty: its own, or words that Redis will refuse.
ByteView copy_target(std::span<const ByteView> options) noexcept {
  for (std::size_t i = 0; i + 1 < options.size(); ++i)
    if (equals_ignore_case(options[i], "db")) return options[i + 1];
  return {};
}

Shown how_shown(const Route& route) noexcept {
  if (route.effect == Effect::told) return Shown::count;
  return route.tags == TagRole::shows ? Shown::without_names : Shown::as_it_is;
}

/// Of TAGINVALIDATE or TAGCOUNT.
Result<TagQuery> query_of(const Request& request) {
  if (request.spec->name == "tagcount") return parse_tagcount(request.argv);
  Result<InvalidateArguments> words = parse_taginvalidate(request.argv);
  if (!words) return words.error();
  return std::move(words->query);
}

std::string upper(ByteView name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return out;
}

}  // namespace

bool TagRequests::replaces(const Request& request, const Route& route) const {
  switch (route.tags) {
    case TagRole::sets:
      return is_about_tags(*request.spec, request.argv);
    case TagRole::adds:
    case TagRole::removes:
    case TagRole::lists:
    case TagRole::walks:
    case TagRole::sweeps:
    case TagRole::block:
      return true;
    case TagRole::carries:
    case TagRole::moves:
      return state_.in_use(request.caller.db()) ||
             (request.caller.acts_as == nullptr && !state_.scripts_refused.load(std::memory_order_relaxed));
    case TagRole::sizes:
    case TagRole::picks:
      return state_.in_use(request.caller.db());
    case TagRole::in_slot:
      return state_.in_use(request.caller.db()) && may_hide_in_slot(request);
    default:
      return route.repeats_keys && state_.in_use(request.caller.db());
  }
}

bool TagRequests::may_hide_in_slot(const Request& request) const {
  const std::optional<SlotQuestion> question = SlotQuestion::parse(request.argv);
  return question && state_.directory.was_used(question->slot);
}

bool TagRequests::joins(const Request& request, const Route& route, TagBatch& batch) {
  if (route.tags != TagRole::sets || topology_.is_cluster()) return false;
  if (!batch.take(request, TagGroup::of_database(state_.prefix))) return false;
  state_.use(request.caller.db());
  return true;
}

/// Of the key's slot in a cluster, of the database otherwise.
TagGroup TagRequests::group_of(ByteView key) const {
  return topology_.is_cluster() ? TagGroup::of_slot(state_.prefix, hash_slot(key))
                                : TagGroup::of_database(state_.prefix);
}

void TagRequests::append(const Request& request, const Route& route, const Lane& lane, Bytes& out) {
  const ByteView prefix = state_.prefix;
  if (route.tags == TagRole::sets || route.tags == TagRole::adds) state_.use(request.caller.db());
  switch (route.tags) {
    case TagRole::sets:
      return append_set(request, out);
    case TagRole::adds:
      return append_change(request, TagScript::add, out);
    case TagRole::removes:
      return append_change(request, TagScript::remove, out);
    case TagRole::lists:
      return append_change(request, TagScript::list, out);
    case TagRole::walks:
    case TagRole::sweeps:
      return append_part(request, route, std::nullopt, out);
    case TagRole::carries:
      return append_carry(request, out);
    case TagRole::moves:
      return append_move(request, out);
    case TagRole::sizes:
      return append_sizes(lane, out);
    case TagRole::picks:
      return append_call(TagScript::pick, {}, {&prefix, 1}, out);
    case TagRole::in_slot:
      return append_slot_question(request, out);
    default:
      out.append(request.raw);
  }
}

void TagRequests::append_call(TagScript script, std::span<const ByteView> keys,
                              std::span<const ByteView> arguments, Bytes& out) {
  out += '*';
  append_size(3 + keys.size() + arguments.size(), out);
  append_word(goes_whole(script) ? "EVAL" : "EVALSHA", out);
  append_word(goes_whole(script) ? loaded(script).body : loaded(script).sha, out);
  append_number(keys.size(), out);
  for (const ByteView key : keys) append_word(key, out);
  for (const ByteView argument : arguments) append_word(argument, out);
}

void TagRequests::append_set(const Request& request, Bytes& out) {
  const Result<WriteOptions> options = parse_set_options(request.argv.subspan(3));
  const std::span<const ByteView> words = *options->tags;
  const Result<TagSet> tags = TagSet::parse(words);
  const TagGroup group = group_of(request.argv[1]);
  names_ = {group.handle()};
  for (const Bytes& tag : *tags) names_.push_back(group.index(tag));
  keys_ = {request.argv[1]};
  keys_.insert(keys_.end(), names_.begin(), names_.end());
  Bytes record;
  append_record(std::vector<ByteView>(tags->begin(), tags->end()), record);
  arguments_ = {record, when_written(*options), request.argv[2]};
  // All options but TAGS, its number and its words.
  for (const ByteView* word = request.argv.data() + 3; word != request.argv.data() + request.argv.size();
       ++word)
    if (word < words.data() - 2 || word >= words.data() + words.size()) arguments_.push_back(*word);
  append_call(TagScript::set, keys_, arguments_, out);
}

/// TAGADD, TAGREM, TAGLIST.
void TagRequests::append_change(const Request& request, TagScript script, Bytes& out) {
  const TagGroup group = group_of(request.argv[1]);
  const std::string handle = group.handle();
  const std::string most = std::to_string(kMaxTagsOfKey);
  names_.clear();
  keys_ = {request.argv[1], handle};
  arguments_.clear();
  const Result<TagSet> tags = TagSet::parse(request.argv.subspan(2));
  if (script == TagScript::add) {
    for (const Bytes& tag : *tags) names_.push_back(group.index(tag));
    keys_.insert(keys_.end(), names_.begin(), names_.end());
    arguments_ = {most, error_text(Errc::too_many_tags)};
  }
  arguments_.insert(arguments_.end(), tags->begin(), tags->end());
  append_call(script, keys_, arguments_, out);
}

void TagRequests::append_carry(const Request& request, Bytes& out) {
  const auto argv = request.argv;
  const std::string handle = group_of(argv[1]).handle();
  const std::string name = upper(request.spec->name);
  keys_ = {argv[1], argv[2], handle};
  arguments_ = {copy_target(argv.subspan(3)), name};
  arguments_.insert(arguments_.end(), argv.begin() + 3, argv.end());
  append_call(TagScript::carry, keys_, arguments_, out);
}

void TagRequests::append_move(const Request& request, Bytes& out) {
  const std::string handle = group_of(request.argv[1]).handle();
  keys_ = {request.argv[1], handle};
  arguments_ = {request.argv[2]};
  append_call(TagScript::move, keys_, arguments_, out);
}

/// What Redis has of a command about all keys of a tag. In a cluster that is a part, within the slot of a
/// block: see tag_blocks.h.
void TagRequests::append_part(const Request& request, const Route& route,
                              std::optional<ByteView> key_of_block, Bytes& out) {
  if (topology_.is_cluster() && !key_of_block) return append_request(out, {"EVAL", "return 0", "0"});
  const TagGroup group =
      topology_.is_cluster() ? group_of(*key_of_block) : TagGroup::of_database(state_.prefix);
  if (route.tags == TagRole::sweeps) return append_sweep(request, group, out);
  std::uint64_t cursor = parse_tagkeys(request.argv)->cursor;
  if (topology_.is_cluster()) cursor = place_in(hash_slot(*key_of_block), cursor);
  append_keys(request, group, cursor, out);
}

void TagRequests::append_keys(const Request& request, const TagGroup& group, std::uint64_t cursor,
                              Bytes& out) {
  const Result<TagKeysArguments> words = parse_tagkeys(request.argv);
  names_ = group.own_keys();
  const std::string place = std::to_string(cursor);
  const std::string count = std::to_string(std::min(words->count, kMostKeysAStep));
  keys_.assign(names_.begin(), names_.end());
  arguments_ = {words->query.tags.front(), words->query.reach == TagQuery::Reach::exact ? "exact" : "below",
                place, count};
  append_call(TagScript::keys, keys_, arguments_, out);
}

/// Within a transaction. ASYNC makes no difference: one step is as fast as leaving it for later would be.
void TagRequests::append_sweep(const Request& request, const TagGroup& group, Bytes& out) {
  const Result<TagQuery> query = query_of(request);
  names_ = group.own_keys();
  const std::string refusal =
      fmt::format("ERR '{}' in a transaction would hold Redis for too long, as {}", request.spec->name,
                  "there are too many keys: send it outside of MULTI");
  keys_.assign(names_.begin(), names_.end());
  arguments_ = {request.spec->name == "tagcount" ? "count" : "tell",
                query->reach == TagQuery::Reach::exact ? "exact" : "below",
                query->need == TagQuery::Need::all ? "all" : "any", kMostInTransaction, refusal};
  arguments_.insert(arguments_.end(), query->tags.begin(), query->tags.end());
  append_call(TagScript::whole, keys_, arguments_, out);
}

void TagRequests::append_slot_question(const Request& request, Bytes& out) {
  const SlotQuestion question = *SlotQuestion::parse(request.argv);
  const std::string slot = std::to_string(question.slot);
  const TagGroup group = TagGroup::of_slot(state_.prefix, question.slot);
  const std::string most = question.most ? std::to_string(*question.most) : "";
  append_call(TagScript::slot, {}, std::to_array<ByteView>({slot, group.begin(), state_.prefix, most}), out);
}

/// In a cluster a node is told which of its slots have bookkeeping.
void TagRequests::append_sizes(const Lane& lane, Bytes& out) {
  names_.clear();
  if (!topology_.is_cluster()) names_.push_back(TagGroup::of_database(state_.prefix).begin());
  for (std::uint16_t slot = 0; topology_.is_cluster() && slot < kHashSlots; ++slot)
    if (state_.directory.was_used(slot) && topology_.node_of_slot(slot).label() == lane.label())
      names_.push_back(TagGroup::of_slot(state_.prefix, slot).begin());
  arguments_.assign(names_.begin(), names_.end());
  append_call(TagScript::size, {}, arguments_, out);
}

/// A key that one command has ended and another makes anew must not have the tags of the old one.
void TagRequests::append_block(const Request& exec, const Route& block, const Lane& lane, Bytes& out,
                               std::vector<Shown>& shown) {
  const bool tidies = state_.in_use(exec.caller.db());
  boost::unordered_flat_set<ByteView> written;
  out.append(kBlockBegin);
  for_each_queued(exec, [&](const Request& queued) {
    const Route route = commands_.route(queued);
    const bool is_replaced = replaces(queued, route);
    if (tidies && route.effect == Effect::keys) {
      bool again = false;
      std::vector<ByteView> keys;
      commands_.append_keys(queued, route, keys);
      for (const ByteView key : keys) again |= !written.insert(key).second;
      if (again && !is_replaced && append_tidy(queued, route, out)) shown.push_back(Shown::not_at_all);
    }
    if (concerns_all_of_tag(route.tags))
      append_part(queued, route, block.first_key, out);
    else if (is_replaced)
      append(queued, route, lane, out);
    else
      out.append(queued.raw);
    shown.push_back(how_shown(route));
  });
  out.append(kBlockEnd);
}

bool TagRequests::append_tidy(const Request& request, const Route& route, Bytes& out) {
  std::vector<ByteView> written;
  commands_.append_keys(request, route, written);
  if (written.empty()) return false;
  const std::string handle = group_of(written.front()).handle();
  keys_ = {handle};
  keys_.insert(keys_.end(), written.begin(), written.end());
  if (topology_.is_cluster())
    append_call(TagScript::tidy, keys_, {}, out);
  else
    append_call(TagScript::tidy, {}, keys_, out);
  return true;
}

std::optional<Bytes> without_names(ByteView reply, ByteView prefix) {
  if (reply.find(prefix) == ByteView::npos) return std::nullopt;
  ReplyCursor cursor(reply);
  ReplyCursor::Value list = cursor.next();
  Bytes shown;
  ReplyWriter writer(shown, Protocol::resp2);
  ReplyCursor second = cursor;
  second.skip();
  if (ReplyCursor inner = second;
      list.count == 2 && inner.next().type == '*') {  // SCAN's: a cursor before them
    writer.begin_array(2);
    writer.raw(cursor.take());
    list = cursor.next();
  }
  if (list.type != '*') return std::nullopt;
  Bytes kept;
  std::size_t count = 0;
  for (std::int64_t left = list.count; left > 0; --left) {
    const ByteView key = cursor.take();
    if (ReplyCursor(key).next().text.starts_with(prefix)) continue;
    kept.append(key);
    ++count;
  }
  writer.begin_array(count);
  writer.raw(kept);
  return shown;
}

}  // namespace larder::redis
