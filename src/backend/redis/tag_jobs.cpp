#include "backend/redis/tag_jobs.h"

#include <algorithm>

#include "backend/redis/tag_requests.h"
#include "command/error_reply.h"
#include "resp/reply_cursor.h"
#include "resp/request_parser.h"

namespace larder::redis {
namespace {

constexpr ByteView kStepWork = "1500";       // in the scripts' unit: about microseconds
constexpr std::size_t kWalksAtOnce = 64;     // of one sweep: their steps fill the pipelines
constexpr int kMostAttempts = 3;             // of a step whose script was flushed
constexpr std::int64_t kRepeatUs = 200'000;  // between attempts of what could not be completed
constexpr std::size_t kMostRepeating = 16;   // of those, side by side: each may be a step in Redis' queue
constexpr std::int64_t kPruneUs = 100'000;
constexpr ByteView kRecordsAStep = "200";

constexpr ByteView kMoves = "moves";  // a cursor: of the log of moves
constexpr ByteView kLost = "lost";    // in place of the log

constexpr std::size_t kPruners = 32;  // in a cluster: each has a share of the slots
constexpr int kMostRounds = 3;        // of a sweep that is disturbed by the loss of masters

const char* name_of(TagAim aim) noexcept {
  return aim == TagAim::drop ? "drop" : aim == TagAim::count ? "count" : "clean";
}

}  // namespace

// --- a sweep ---

class TagSweep::Walk final : public OwnCaller {
 public:
  explicit Walk(TagSweep& sweep) : sweep_(sweep) {
    db_ = sweep.plan_.db;
    acts_as = sweep.plan_.user;
  }

  [[nodiscard]] bool is_free() const noexcept { return keys_.empty(); }

  void start(const TagGroup& group) {
    group_ = &group;
    is_clean_ = true;
    keys_ = group.own_keys();
    tag_ = 0;
    begin_tag();
    go_on();
  }

  void finish(Ticket) override {
    if (take_step()) go_on();
  }

 private:
  [[nodiscard]] const TagQuery& query() const noexcept { return sweep_.plan_.query; }

  void begin_tag() {
    place_.clear();
    cursor_ = "0";
    log_.clear();
    walked_ = "0";
    seen_here_ = 0;
    attempts_ = 0;
  }

  /// Steps until one has to be waited for, or the group is done.
  void go_on() {
    while (ask_step())
      if (!take_step()) return;
  }

  [[nodiscard]] bool ask_step() {
    const bool needs_all = query().need == TagQuery::Need::all;
    const bool drops = sweep_.plan_.aim == TagAim::drop;
    const ByteView drop = sweep_.context_.keyspace.enabled() ? "tell" : "drop";
    const ByteView aim = drops ? drop : sweep_.plan_.aim == TagAim::count ? "count" : "clean";
    std::vector<ByteView> arguments{
        aim,     kStepWork,         query().reach == TagQuery::Reach::exact ? "exact" : "below",
        place_,  cursor_,           log_,
        walked_, query().tags[tag_]};
    if (needs_all) arguments.insert(arguments.end(), query().tags.begin() + 1, query().tags.end());
    const std::vector<ByteView> keys(keys_.begin(), keys_.end());
    return call(sweep_.host_, TagScript::sweep, keys, arguments);
  }

  /// True when the group needs another step.
  [[nodiscard]] bool take_step() {
    ReplyCursor reply(this->reply());
    const ReplyCursor::Value head = reply.next();
    if (head.is_error() || head.count != 9) {
      if (head.text.starts_with("NOSCRIPT") && ++attempts_ < kMostAttempts) return true;
      return end(head.is_error() ? head.text : ByteView("ERR Redis answered a sweep with something else"));
    }
    sweep_.state_.steps.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t count = reply.next().integer();
    log_ = reply.next().text;
    const Bytes came_from = std::exchange(place_, Bytes(reply.next().text));
    cursor_ = reply.next().text;
    for (std::int64_t left = reply.next().count; left > 0; --left)
      sweep_.context_.keyspace.void_key({db_, reply.next().text});
    if (reply.next().integer() == 0) is_clean_ = false;
    walked_ = std::to_string(reply.next().integer());
    const std::int64_t seen = reply.next().integer(), size = reply.next().integer();
    sweep_.note_step(count, seen);
    const bool is_same = place_ == came_from && sweep_.plan_.aim != TagAim::clean;
    seen_here_ = is_same ? seen_here_ + seen : 0;
    note_left(std::max<std::int64_t>(size - seen_here_, 0));
    if (place_.empty()) return end_tag();
    sweep_.note_is_long();
    return true;
  }

  /// What was moved meanwhile comes last.
  [[nodiscard]] bool end_tag() {
    if (log_ != kLost && !log_.empty() && cursor_ != kMoves) {
      cursor_ = kMoves;
      return true;
    }
    if (log_ != kLost && (query().need == TagQuery::Need::all || ++tag_ == query().tags.size()))
      return end({});
    begin_tag();
    return true;
  }

  void note_left(std::int64_t left) { sweep_.progress_.left += left - std::exchange(left_, left); }

  [[nodiscard]] bool end(ByteView error) {
    const Bytes why(error);
    note_left(0);
    if (!is_clean_) sweep_.unclean_.push_back(*group_);
    keys_.clear();
    sweep_.walked(why);
    return false;
  }

  TagSweep& sweep_;
  const TagGroup* group_ = nullptr;
  bool is_clean_ = true;           ///< nothing is left to be done behind the reply
  std::vector<std::string> keys_;  ///< of the group that it walks through; empty: none
  std::size_t tag_ = 0;            ///< of the query: whose index, and those below it, are walked through
  Bytes place_, cursor_, log_, walked_;
  std::int64_t seen_here_ = 0;  ///< keys of the index under way
  std::int64_t left_ = 0;       ///< of them, as told
  int attempts_ = 0;
};

TagSweep::TagSweep(const NodeContext& context, TagState& state, TagHost& host, Plan plan,
                   std::function<void()> is_long, Done done)
    : context_(context),
      state_(state),
      host_(host),
      plan_(std::move(plan)),
      is_long_(std::move(is_long)),
      done_(std::move(done)) {
  state_.running.fetch_add(1, std::memory_order_relaxed);
  progress_.doing = name_of(plan_.aim);
  progress_.db = plan_.db;
}

TagSweep::~TagSweep() {
  if (steps_ > 1) state_.long_sweeps.remove(progress_);
  state_.running.fetch_sub(1, std::memory_order_relaxed);
}

void TagSweep::start(std::vector<TagGroup> groups) {
  groups_ = std::move(groups);
  if (groups_.size() > kWalksAtOnce) note_is_long();
  const std::size_t walks = std::min(kWalksAtOnce, groups_.size());
  for (std::size_t i = 0; i < walks; ++i) walks_.push_back(std::make_unique<Walk>(*this));
  start_walks();
}

/// Groups are handed out to the walks that are free; none any more after an error.
void TagSweep::start_walks() {
  if (std::exchange(starting_, true)) return;
  for (bool again = true; again;) {
    again = false;
    for (const auto& walk : walks_) {
      if (!walk->is_free() || next_group_ == groups_.size() || !outcome_.error.empty()) continue;
      ++open_;
      progress_.slots_left = static_cast<std::int64_t>(groups_.size() - next_group_ - 1);
      walk->start(groups_[next_group_++]);
      again |= walk->is_free();
    }
  }
  starting_ = false;
  if (open_ > 0 || !done_) return;
  if (!outcome_.error.empty()) unclean_.clear();
  std::exchange(done_, nullptr)(outcome_);
}

void TagSweep::note_step(std::int64_t count, std::int64_t seen) {
  if (++steps_ == 2) {
    progress_.query = plan_.query;
    state_.long_sweeps.add(progress_);
  }
  outcome_.count += count;
  progress_.dropped += count;
  progress_.looked_at += seen;
  if (plan_.aim == TagAim::drop)
    state_.dropped.fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
}

void TagSweep::note_is_long() {
  if (plan_.aim == TagAim::drop && is_long_) std::exchange(is_long_, nullptr)();
}

/// What is not done here the pruner will find.
void TagSweep::clean_up() {
  if (done_ || unclean_.empty()) return;
  plan_.aim = TagAim::clean;
  state_.long_sweeps.rename(progress_, name_of(plan_.aim));
  progress_.looked_at = 0;
  groups_ = std::exchange(unclean_, {});
  next_group_ = 0;
  start_walks();
}

void TagSweep::walked(const Bytes& error) {
  --open_;
  if (outcome_.error.empty()) outcome_.error = error;
  start_walks();
}

// --- the records of keys that are gone ---

class TagJobs::Pruner final : public OwnCaller {
 public:
  /// Of a cluster's slots it has every `share`th, from the `first` on.
  Pruner(TagState& state, const Topology& topology, TagHost& host, std::size_t first, std::size_t share)
      : state_(state), topology_(topology), host_(host), slot_(first), first_(first), share_(share) {}

  void tick(std::int64_t now_us) {
    if (busy_ || now_us < next_us_) return;
    next_us_ = now_us + kPruneUs;
    if (topology_.is_cluster() ? !find_slot() : first_ > 0 || !find_db()) {
      if (first_ == 0) state_.note_orphans(0, 0);
      return;
    }
    busy_ = true;
    saw_sweep_ = is_sweeping();
    if (ask_step()) take();
  }

  void finish(Ticket) override { take(); }

 private:
  [[nodiscard]] bool find_db() {
    if (cursor_ != "0") return state_.in_use(db_);
    constexpr int kDatabases = 64;
    for (int tries = 0; tries < kDatabases; ++tries) {
      db_ = (db_ + 1) % kDatabases;
      if (state_.in_use(db_)) return true;
    }
    return false;
  }

  [[nodiscard]] bool find_slot() {
    if (cursor_ != "0") return true;
    for (std::size_t tries = 0; tries < kHashSlots / share_; ++tries) {
      slot_ += share_;
      if (slot_ >= kHashSlots) slot_ = first_;
      if (state_.directory.knows({TagDirectory::kEverything, static_cast<std::uint16_t>(slot_)})) return true;
    }
    return false;
  }

  [[nodiscard]] bool ask_step() {
    const TagGroup group = topology_.is_cluster()
                               ? TagGroup::of_slot(state_.prefix, static_cast<std::uint16_t>(slot_))
                               : TagGroup::of_database(state_.prefix);
    const std::vector<std::string> names = group.own_keys();
    const std::vector<ByteView> keys(names.begin(), names.end());
    return call(host_, TagScript::prune, keys, std::to_array<ByteView>({cursor_, kRecordsAStep}));
  }

  void take() {
    busy_ = false;
    ReplyCursor reply(this->reply());
    const ReplyCursor::Value head = reply.next();
    if (head.count != 3) {
      cursor_ = "0";
      return;
    }
    cursor_ = reply.next().text;
    const auto seen = static_cast<std::uint64_t>(reply.next().integer());
    const auto gone = static_cast<std::uint64_t>(reply.next().integer());
    state_.pruned.fetch_add(gone, std::memory_order_relaxed);
    // What a sweep has dropped is cleaned up in its own time.
    if (!saw_sweep_ && !is_sweeping()) state_.note_orphans(seen, gone);
    // Where many keys expire the next step comes at once: at the next tick.
    if (gone * 4 > seen) next_us_ = 0;
  }

  [[nodiscard]] bool is_sweeping() const noexcept {
    return state_.running.load(std::memory_order_relaxed) > 0;
  }

  TagState& state_;
  const Topology& topology_;
  TagHost& host_;
  std::size_t slot_;
  const std::size_t first_, share_;
  Bytes cursor_ = "0";
  bool busy_ = false, saw_sweep_ = false;
  std::int64_t next_us_ = 0;
};

// --- what workers do ---

void append_outcome(ReplyWriter& reply, const TagSweep::Outcome& outcome) {
  if (!outcome.error.empty()) return reply.error(outcome.error);
  reply.integer(outcome.count);
}

void append_outcome(ReplyWriter& reply, const TagListing::Outcome& outcome) {
  if (!outcome.error.empty()) return reply.error(outcome.error);
  reply.begin_array(2);
  reply.bulk(std::to_string(outcome.cursor));
  reply.begin_array(outcome.keys.size());
  for (const Bytes& key : outcome.keys) reply.bulk(key);
}

TagJobs::TagJobs(const NodeContext& context, TagState& state, Topology& topology, TagRegistrar& registrar,
                 TagHost& host)
    : context_(context),
      state_(state),
      topology_(topology),
      host_(host),
      journal_(state, topology, host, static_cast<int>(context.options.address.db), context.worker == 0) {
  if (context.worker != 0) return;
  for (std::size_t i = 0; i < kPruners; ++i)
    pruners_.push_back(std::make_unique<Pruner>(state, topology, host, i, kPruners));
  census_ = std::make_unique<TagCensus>(state, registrar, host);
}

TagJobs::~TagJobs() = default;

Step TagJobs::run(const Request& request) {
  if (request.spec->name == "tagkeys") return list(request);
  return request.spec->name == "tagcount" ? count(request) : invalidate(request);
}

Step TagJobs::count(const Request& request) {
  Result<TagQuery> query = parse_tagcount(request.argv);
  if (!query) {
    append_error(request.reply, query.error());
    return Step::done;
  }
  return start(request, {std::move(*query), TagAim::count, request.caller.db(), request.caller.acts_as});
}

Step TagJobs::invalidate(const Request& request) {
  Result<InvalidateArguments> words = parse_taginvalidate(request.argv);
  if (!words) {
    append_error(request.reply, words.error());
    return Step::done;
  }
  // What is left for later is done with Larder's own rights, so another user waits for it.
  if (words->sweep == Sweep::behind && request.caller.acts_as == nullptr)
    return leave_for_later(request, std::move(words->query));
  return start(request, {std::move(words->query), TagAim::drop, request.caller.db(), request.caller.acts_as});
}

/// It is answered when it is in the journal: from then on it will be done, whoever lives. It must not come
/// before what its client has written.
Step TagJobs::leave_for_later(const Request& request, TagQuery query) {
  if (request.caller.pending() > 0) return Step::hold;
  Caller& caller = request.caller;
  const Ticket ticket = caller.defer();
  PendingInvalidations::Entry entry{caller.db(), std::move(query)};
  const auto entered = [this, &caller, ticket, entry](const TagJournal::Hold& hold, ByteView error) mutable {
    entry.holds = {hold};
    state_.pending.add(std::move(entry));
    context_.keyspace.void_all();
    ReplyWriter reply = caller.reply_to(ticket);
    append_outcome(reply, TagSweep::Outcome{.error = Bytes(error)});
    caller.finish(ticket);
  };
  journal_.enter(entry.db, entry.query, entered);
  return Step::pending;
}

/// It starts when all that its client has asked before is answered, and what follows waits for it.
Step TagJobs::start(const Request& request, TagSweep::Plan plan) {
  if (request.caller.pending() > 0) return Step::hold;
  Caller& caller = request.caller;
  const Ticket ticket = caller.defer();
  sweep_for_client(std::move(plan), [&caller, ticket](const TagSweep::Outcome& outcome) {
    ReplyWriter reply = caller.reply_to(ticket);
    append_outcome(reply, outcome);
    caller.finish(ticket);
  });
  return Step::blocking;
}

void TagJobs::sweep_for_client(TagSweep::Plan plan, TagSweep::Done done) {
  const bool drops = plan.aim == TagAim::drop;
  const bool may_repeat = drops && plan.user == nullptr;
  PendingInvalidations::Entry entry{plan.db, plan.query};
  launch(std::move(plan), nullptr,
         [this, drops, may_repeat, entry, done = std::move(done)](const TagSweep::Outcome& outcome) mutable {
           if (!outcome.error.empty() && drops) context_.keyspace.void_all();
           if (!outcome.error.empty() && may_repeat) {
             if (outcome.hold) entry.holds = {outcome.hold};
             state_.pending.add(entry);
           }
           done(outcome);
         });
}

Step TagJobs::list(const Request& request) {
  Result<TagKeysArguments> words = parse_tagkeys(request.argv);
  if (!words) {
    append_error(request.reply, words.error());
    return Step::done;
  }
  if (request.caller.pending() > 0) return Step::hold;
  Caller& caller = request.caller;
  const Ticket ticket = caller.defer();
  list_for_client({.words = *std::move(words), .user = caller.acts_as},
                  [&caller, ticket](const TagListing::Outcome& outcome) {
                    ReplyWriter reply = caller.reply_to(ticket);
                    append_outcome(reply, outcome);
                    caller.finish(ticket);
                  });
  return Step::blocking;
}

void TagJobs::list_for_client(TagListing::Plan plan, TagListing::Done done) {
  List& list = *lists_.emplace_back(std::make_unique<List>());
  const auto tell = [&list, done = std::move(done)](const TagListing::Outcome& outcome) {
    list.over = true;
    done(outcome);
  };
  list.survey = std::make_unique<TagSurvey>(state_, host_, plan.words.query,
                                            [&list, tell](const TagSurvey::Slots& slots, ByteView error) {
                                              if (error.empty()) return list.listing->start(slots);
                                              tell({.error = Bytes(error)});
                                            });
  list.listing = std::make_unique<TagListing>(state_, host_, std::move(plan), tell);
  list.survey->start();
}

void TagJobs::launch(TagSweep::Plan plan, TagJournal::Hold hold, TagSweep::Done done) {
  jobs_.push_back(
      std::make_unique<Job>(Job{.plan = std::move(plan), .hold = std::move(hold), .done = std::move(done)}));
  begin(*jobs_.back());
}

void TagJobs::begin(Job& job) {
  job.stage = Job::Stage::running;
  if (!topology_.is_cluster()) return sweep(job, {TagGroup::of_database(state_.prefix)});
  job.losses = state_.directory.losses();
  const bool may_be_back =
      job.plan.apart && job.plan.aim == TagAim::drop && job.plan.apart->losses != job.losses;
  if (may_be_back) job.plan.apart.reset();  // its master may be the one that was lost
  ++job.rounds;
  job.survey = std::make_unique<TagSurvey>(state_, host_, job.plan.query,
                                           [this, &job](const TagSurvey::Slots& slots, ByteView error) {
                                             if (!error.empty()) return swept(job, {.error = Bytes(error)});
                                             std::vector<TagGroup> groups;
                                             groups.reserve(slots.size());
                                             for (const std::uint16_t slot : slots)
                                               if (!job.plan.apart || job.plan.apart->slot != slot)
                                                 groups.push_back(TagGroup::of_slot(state_.prefix, slot));
                                             sweep(job, std::move(groups));
                                           });
  job.survey->start();
}

void TagJobs::sweep(Job& job, std::vector<TagGroup> groups) {
  // What another user may not do to the end is not done with Larder's own rights.
  const auto enter = [this, &job] {
    if (job.plan.user == nullptr && !job.hold) job.hold = journal_.enter(job.plan.db, job.plan.query);
  };
  job.sweep =
      std::make_unique<TagSweep>(context_, state_, host_, job.plan, enter,
                                 [this, &job](const TagSweep::Outcome& outcome) { swept(job, outcome); });
  job.sweep->start(std::move(groups));
}

/// What was deleted on a master that is lost may be there again on the one that takes its place.
void TagJobs::swept(Job& job, const TagSweep::Outcome& outcome) {
  const bool is_doubtful =
      topology_.is_cluster() && job.plan.aim == TagAim::drop && job.losses != state_.directory.losses();
  TagSweep::Outcome whole = outcome;
  whole.count += job.count;
  if (outcome.error.empty() && is_doubtful) {
    job.count = whole.count;
    job.stage = Job::Stage::again;
    if (job.rounds < kMostRounds) return;
    whole.error = "ERR masters of the cluster were lost while the keys were deleted";
  }
  job.stage = Job::Stage::over;
  whole.hold = std::exchange(job.hold, nullptr);
  std::exchange(job.done, nullptr)(whole);
}

void TagJobs::tick(std::int64_t now_us) {
  journal_.tick(now_us);
  // Not at once: who waited for an answer gets it before Redis and the machine are busy again.
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    if (jobs_[i]->sweep != nullptr) jobs_[i]->sweep->clean_up();
  std::erase_if(jobs_, [](const auto& job) {
    return job->stage == Job::Stage::over && (job->sweep == nullptr || job->sweep->is_done());
  });
  std::erase_if(lists_, [](const auto& list) { return list->over; });
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    if (Job& job = *jobs_[i]; job.stage == Job::Stage::again && job.sweep->is_done()) begin(job);
  if (context_.worker != 0) return;
  repeat_pending();
  for (const auto& pruner : pruners_) pruner->tick(now_us);
  if (topology_.is_cluster()) census_->tick(now_us);
}

/// Side by side, as each of them takes at least one way to Redis. After one that has failed only one is tried
/// until one succeeds: a Redis that is still away costs no more than that. So it is, too, while each would
/// visit all slots of a cluster.
void TagJobs::repeat_pending() {
  const bool is_costly = topology_.is_cluster() && !state_.directory.is_trusted();
  while (repeating_ < (is_costly ? 1 : most_repeating_) && steady_now_us() >= repeat_us_) {
    std::optional<PendingInvalidations::Entry> entry = state_.pending.take();
    if (!entry) return;
    ++repeating_;
    TagSweep::Plan plan{entry->query, TagAim::drop, entry->db, nullptr};
    TagJournal::Hold hold = entry->holds.empty() ? nullptr : entry->holds.front();
    launch(std::move(plan), std::move(hold),
           [this, entry = *std::move(entry)](const TagSweep::Outcome& outcome) {
             --repeating_;
             if (!outcome.error.empty()) {
               state_.pending.give_back(entry);
               context_.keyspace.void_all();
               repeat_us_ = steady_now_us() + kRepeatUs;
               most_repeating_ = 1;
               return;
             }
             state_.pending.remove(entry);
             most_repeating_ = kMostRepeating;
             repeat_pending();
           });
  }
}

}  // namespace larder::redis
