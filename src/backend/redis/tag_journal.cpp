#include "backend/redis/tag_journal.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "backend/redis/tag_names.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/arguments.h"
#include "command/limits.h"
#include "command/tags.h"
#include "resp/reply_cursor.h"
#include "resp/request_parser.h"

namespace larder::redis {
namespace {

constexpr ByteView kLeaseMs = "5000";
constexpr std::int64_t kMoveOnUs = 1'000'000;  // a few may fail before the others take over
constexpr std::int64_t kLookUs = 1'000'000;
constexpr std::int64_t kPatienceUs = 15'000'000;  // three leases
constexpr std::size_t kMostTakenOver = 64;        // at a time: other Larders want some too
constexpr std::size_t kMostSent = 500;            // at a time: so many take Redis half a millisecond
constexpr std::size_t kMostSentBytes = 64 << 10;

}  // namespace

Bytes encode(const JournalEntry& entry) {
  const TagQuery& query = entry.query;
  std::vector<ByteView> words{entry.id};
  const std::string db = std::to_string(entry.db);
  words.push_back(db);
  words.insert(words.end(), query.tags.begin(), query.tags.end());
  words.push_back("");  // ends the tags
  if (query.reach == TagQuery::Reach::exact) words.push_back("EXACT");
  if (query.need == TagQuery::Need::all) words.push_back("ALL");
  Bytes member;
  ReplyWriter writer(member, Protocol::resp2);
  writer.begin_array(words.size());
  for (const ByteView word : words) writer.bulk(word);
  return member;
}

Result<JournalEntry> decode_journal_entry(ByteView member) {
  constexpr std::size_t kFewestWords = 3;
  RequestParser parser;
  const Result<RequestParser::Status> status = parser.parse(member, {});
  if (!status) return Errc::syntax;
  const std::span<const ByteView> words = parser.argv();
  if (*status != RequestParser::Status::ready || parser.is_inline() || parser.consumed() != member.size() ||
      words.size() < kFewestWords)
    return Errc::syntax;
  const Result<std::int64_t> db = integer_argument(words[1]);
  if (!db || *db < 0 || *db > INT32_MAX) return Errc::syntax;
  Result<InvalidateArguments> arguments = parse_taginvalidate(words.subspan(1));
  if (!arguments) return arguments.error();
  return JournalEntry{std::string(words[0]), static_cast<int>(*db), std::move(arguments->query)};
}

TagJournal::TagJournal(TagState& state, const Topology& topology, TagHost& host, int db, bool takes_over)
    : state_(state), topology_(topology), host_(host), takes_over_(takes_over) {
  db_ = db;
}

TagJournal::Hold TagJournal::enter(int db, const TagQuery& query, Done done) {
  const Hold hold = add(encode({fmt::format("{}-{}", state_.process, state_.entered++), db, query}));
  if (done) {
    entries_.back().done = std::move(done);
    entries_.back().until_told = hold;
  }
  state_.use(db_);  // there is bookkeeping now
  tick(steady_now_us());
  return hold;
}

TagJournal::Hold TagJournal::add(Bytes member) {
  Hold hold = std::make_shared<const char>();
  state_.in_journal.add(member);
  entries_.push_back({.member = std::move(member), .hold = hold});
  return hold;
}

bool TagJournal::has(const Hold& hold) const {
  return std::ranges::any_of(
      entries_, [&](const Entry& entry) { return entry.due_us > 0 && hold && entry.hold.lock() == hold; });
}

bool TagJournal::is_quiet() const noexcept {
  if (busy_) return false;
  if (entries_.empty() || steady_now_us() < pause_us_) return true;
  return state_.running.load(std::memory_order_relaxed) == 0 &&
         std::ranges::none_of(entries_,
                              [](const Entry& entry) { return entry.may_exist && entry.hold.expired(); });
}

void TagJournal::tick(std::int64_t now_us) {
  while (send(now_us)) take();
}

/// True when it was answered at once.
bool TagJournal::send(std::int64_t now_us) {
  if (busy_) return false;
  const bool pauses = now_us < pause_us_;
  // Who has much to do leaves what is overdue to the others.
  const bool hurries = more_overdue_ && state_.pending.size() < kMostTakenOver;
  const bool looks = takes_over_ && !pauses && (now_us >= look_us_ || hurries) &&
                     !state_.scripts_refused.load(std::memory_order_relaxed);
  std::erase_if(entries_, [this](const Entry& entry) {
    const bool is_gone = entry.hold.expired() && !entry.may_exist;
    if (is_gone) state_.in_journal.remove(entry.member);
    return is_gone;
  });
  std::vector<ByteView> moved, removed;
  std::size_t bytes = 0;
  const auto pick = [&](Entry& entry, bool is_due) {
    if (!is_due || moved.size() + removed.size() == kMostSent || bytes > kMostSentBytes) return;
    const bool leaves = entry.hold.expired();
    (leaves ? removed : moved).push_back(entry.member);
    bytes += entry.member.size();
    entry.sent = leaves ? Entry::Sent::away : Entry::Sent::on;
  };
  // Those that clients wait for go first, and alone where Redis has refused the others.
  for (Entry& entry : entries_) pick(entry, entry.done != nullptr);
  for (Entry& entry : entries_)
    pick(entry, !entry.done && !pauses && (entry.hold.expired() || now_us >= entry.due_us));
  if (!looks && bytes == 0) return false;
  if (looks) look_us_ = now_us + kLookUs;
  looked_ = looks;
  const std::string count = std::to_string(moved.size()), most = std::to_string(looks ? kMostTakenOver : 0);
  std::vector<ByteView> arguments{kLeaseMs, most, count};
  arguments.insert(arguments.end(), moved.begin(), moved.end());
  arguments.insert(arguments.end(), removed.begin(), removed.end());
  const TagGroup group = topology_.is_cluster()
                             ? TagGroup::of_slot(state_.prefix, TagDirectory::kEverythingsSlot)
                             : TagGroup::of_database(state_.prefix);
  const std::string name = group.journal();
  busy_ = true;
  if (call(host_, TagScript::journal, std::to_array<ByteView>({name}), arguments)) return true;
  for (Entry& entry : entries_)
    if (entry.sent != Entry::Sent::nowhere) entry.may_exist = true;
  return false;
}

void TagJournal::finish(Ticket) {
  take();
  tick(steady_now_us());
}

/// An error is told to all that wait: Redis would have the same for those that are still to be sent, or none.
void TagJournal::take() {
  busy_ = false;
  const std::int64_t now_us = steady_now_us();
  ReplyCursor reply(this->reply());
  const ReplyCursor::Value head = reply.next();
  const Bytes error(head.is_error() ? head.text : ByteView());
  if (!error.empty()) pause_us_ = now_us + kMoveOnUs;
  std::vector<std::pair<Done, Hold>> told;
  for (Entry& entry : entries_) {
    const Entry::Sent sent = std::exchange(entry.sent, Entry::Sent::nowhere);
    if (!error.empty() && entry.hold.expired()) give_up(entry, now_us);
    if (error.empty() && sent == Entry::Sent::nowhere) continue;
    if (error.empty() && sent == Entry::Sent::away) entry.may_exist = false;
    if (error.empty()) entry.due_us = now_us + kMoveOnUs;
    if (entry.done)
      told.emplace_back(std::exchange(entry.done, nullptr), std::exchange(entry.until_told, nullptr));
  }
  for (std::int64_t left = head.count; left > 0; --left) take_over(reply.next().text, now_us);
  if (looked_) more_overdue_ = head.count >= static_cast<std::int64_t>(kMostTakenOver);
  for (const auto& [done, hold] : told) done(hold, error);
}

/// Of what cannot be removed for so long, the lease has ended: if it is there at all, who sees it takes it
/// over. So a Redis that refuses for good does not make this one keep all that it ever entered.
void TagJournal::give_up(Entry& entry, std::int64_t now_us) {
  if (entry.stays_us == 0) entry.stays_us = now_us;
  if (now_us - entry.stays_us > kPatienceUs) entry.may_exist = false;
}

void TagJournal::take_over(ByteView member, std::int64_t now_us) {
  if (state_.in_journal.contains(Bytes(member))) return;  // whose turn to move it on is late
  const Result<JournalEntry> found = decode_journal_entry(member);
  // Somebody's who has more databases.
  const int databases = topology_.is_cluster() ? 1 : command_limits.databases;
  if (found && found->db >= databases) return;
  const Hold hold = add(Bytes(member));
  entries_.back().may_exist = true;
  entries_.back().due_us = now_us + kMoveOnUs;
  if (!found) return log::warning("redis: something in the journal of invalidations is none, and is removed");
  // It was removed, and came back with a request that was given up before: it is done.
  if (found->id.starts_with(state_.process)) return;
  log::info("redis: takes over an invalidation that another Larder has not finished: database {}, tags {}",
            found->db, in_line(found->query));
  state_.taken_over.fetch_add(1, std::memory_order_relaxed);
  state_.pending.add({found->db, found->query, 1, hold});
}

}  // namespace larder::redis
