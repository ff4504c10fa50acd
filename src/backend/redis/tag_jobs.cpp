#include "backend/redis/tag_jobs.h"

#include <algorithm>

#include "backend/redis/tag_requests.h"
#include "command/error_reply.h"
#include "resp/reply_cursor.h"
#include "resp/request_parser.h"

namespace larder::redis {
namespace {

constexpr ByteView kDropsAStep = "1000";     // they took Redis 1.6 ms
constexpr ByteView kKeysAStep = "250";       // where records are read
constexpr std::size_t kWalksAtOnce = 64;     // of one sweep: their steps fill the pipelines
constexpr int kMostAttempts = 3;             // of a step whose script was flushed
constexpr std::int64_t kRepeatUs = 200'000;  // between attempts of what could not be completed
constexpr std::int64_t kPruneUs = 100'000;
constexpr ByteView kRecordsAStep = "200";

/// A call of a script has its first key there.
constexpr KeyRange kScriptKey = {3, 3, 1};

}  // namespace

/// A request of Larder's own, answered into a buffer.
class OwnCaller : public Caller {
 public:
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {reply_, protocol_}; }
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }
  [[nodiscard]] bool may_hold() const noexcept override { return false; }

 protected:
  /// Sends a call; true when it was answered at once.
  [[nodiscard]] bool ask(TagHost& host, TagScript script, std::span<const ByteView> keys,
                         std::span<const ByteView> arguments) {
    raw_.clear();
    reply_.clear();
    TagRequests::append_call(script, keys, arguments, raw_);
    RequestParser parser;
    static_cast<void>(parser.parse(raw_, {.max_bulk_bytes = INT64_MAX}));
    ReplyWriter writer(reply_, protocol_);
    Route route;
    route.effect = Effect::none;
    route.scalar_reply = true;
    route.keys = kScriptKey;
    route.tags = TagRole::own;
    return host.send_own({nullptr, parser.argv(), raw_, 0, *this, writer}, route) == Step::done;
  }

  Bytes raw_, reply_;
};

// --- a sweep ---

class TagSweep::Walk final : public OwnCaller {
 public:
  explicit Walk(TagSweep& sweep) : sweep_(sweep) {
    db_ = sweep.plan_.db;
    acts_as = sweep.plan_.user;
  }

  [[nodiscard]] bool is_free() const noexcept { return records_.empty(); }

  void start(const TagGroup& group) {
    group_ = &group;
    is_clean_ = true;
    records_ = group.records();
    begin_pass();
    go_on();
  }

  void finish(Ticket) override {
    if (take_step()) go_on();
  }

 private:
  [[nodiscard]] const TagQuery& query() const noexcept { return sweep_.plan_.query; }

  void begin_pass() {
    tag_ = 0;
    place_.clear();
    cursor_ = "0";
    moves_.clear();
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
    const bool has_more_tags = !needs_all && query().tags.size() > 1;
    std::vector<ByteView> arguments{aim,
                                    drops ? kDropsAStep : kKeysAStep,
                                    query().reach == TagQuery::Reach::exact ? "exact" : "below",
                                    place_,
                                    cursor_,
                                    moves_.empty() && has_more_tags ? ByteView("start") : ByteView(moves_),
                                    query().tags[tag_]};
    if (needs_all) arguments.insert(arguments.end(), query().tags.begin() + 1, query().tags.end());
    const ByteView key = records_;
    return ask(sweep_.host_, TagScript::sweep, {&key, 1}, arguments);
  }

  /// True when the group needs another step.
  [[nodiscard]] bool take_step() {
    ReplyCursor reply(reply_);
    const ReplyCursor::Value head = reply.next();
    if (head.is_error() || head.count != 6) {
      if (head.text.starts_with("NOSCRIPT") && ++attempts_ < kMostAttempts) return true;
      return end(head.is_error() ? head.text : ByteView("ERR Redis answered a sweep with something else"));
    }
    sweep_.state_.steps.fetch_add(1, std::memory_order_relaxed);
    sweep_.outcome_.count += reply.next().integer();
    const ByteView moves = reply.next().text;
    place_ = reply.next().text;
    cursor_ = reply.next().text;
    for (std::int64_t left = reply.next().count; left > 0; --left)
      sweep_.context_.keyspace.void_key({db_, reply.next().text});
    if (reply.next().integer() == 0) is_clean_ = false;
    const bool disturbed = !moves_.empty() && moves != moves_;
    moves_ = moves;
    if (disturbed) disturbed_ = true;
    if (!place_.empty()) return true;
    if (query().need == TagQuery::Need::any && ++tag_ < query().tags.size()) return true;
    if (!std::exchange(disturbed_, false)) return end({});
    begin_pass();
    return true;
  }

  [[nodiscard]] bool end(ByteView error) {
    const Bytes why(error);
    if (!is_clean_) sweep_.unclean_.push_back(*group_);
    records_.clear();
    sweep_.walked(why);
    return false;
  }

  TagSweep& sweep_;
  const TagGroup* group_ = nullptr;
  bool is_clean_ = true;  ///< nothing is left to be done behind the reply
  std::string records_;   ///< of the group that it walks through; empty: none
  std::size_t tag_ = 0;   ///< of the query: whose index, and those below it, are walked through
  Bytes place_, cursor_, moves_;
  bool disturbed_ = false;  ///< something moved in this pass
  int attempts_ = 0;
};

TagSweep::TagSweep(const NodeContext& context, TagState& state, TagHost& host, Plan plan, Done done)
    : context_(context), state_(state), host_(host), plan_(std::move(plan)), done_(std::move(done)) {
  state_.running.fetch_add(1, std::memory_order_relaxed);
}

TagSweep::~TagSweep() {
  state_.running.fetch_sub(1, std::memory_order_relaxed);
}

void TagSweep::start() {
  const std::size_t walks = std::min(kWalksAtOnce, plan_.groups.size());
  for (std::size_t i = 0; i < walks; ++i) walks_.push_back(std::make_unique<Walk>(*this));
  start_walks();
}

/// Groups are handed out to the walks that are free; none any more after an error.
void TagSweep::start_walks() {
  if (std::exchange(starting_, true)) return;
  for (bool again = true; again;) {
    again = false;
    for (const auto& walk : walks_) {
      if (!walk->is_free() || next_group_ == plan_.groups.size() || !outcome_.error.empty()) continue;
      ++open_;
      walk->start(plan_.groups[next_group_++]);
      again |= walk->is_free();
    }
  }
  starting_ = false;
  if (open_ > 0 || !done_) return;
  if (plan_.aim == TagAim::drop)
    state_.dropped.fetch_add(static_cast<std::uint64_t>(outcome_.count), std::memory_order_relaxed);
  std::exchange(done_, nullptr)(outcome_);
  clean_up();
}

/// What is not done here the pruner will find.
void TagSweep::clean_up() {
  if (unclean_.empty() || !outcome_.error.empty()) return;
  plan_.aim = TagAim::clean;
  plan_.groups = std::exchange(unclean_, {});
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
  Pruner(TagState& state, TagHost& host) : state_(state), host_(host) {}

  void tick(std::int64_t now_us) {
    if (busy_ || now_us < next_us_) return;
    next_us_ = now_us + kPruneUs;
    if (cursor_ == "0") next_db();
    if (!state_.in_use(db_)) return;
    busy_ = true;
    if (ask_step()) take();
  }

  void finish(Ticket) override { take(); }

 private:
  void next_db() {
    constexpr int kDatabases = 64;
    for (int tries = 0; tries < kDatabases; ++tries) {
      db_ = (db_ + 1) % kDatabases;
      if (state_.in_use(db_)) return;
    }
  }

  [[nodiscard]] bool ask_step() {
    const std::string records = TagGroup(state_.prefix).records();
    const ByteView key = records;
    return ask(host_, TagScript::prune, {&key, 1}, std::to_array<ByteView>({cursor_, kRecordsAStep}));
  }

  void take() {
    busy_ = false;
    ReplyCursor reply(reply_);
    const ReplyCursor::Value head = reply.next();
    if (head.count != 3) {
      cursor_ = "0";
      return;
    }
    cursor_ = reply.next().text;
    const auto seen = static_cast<std::uint64_t>(reply.next().integer());
    const auto gone = static_cast<std::uint64_t>(reply.next().integer());
    state_.pruned.fetch_add(gone, std::memory_order_relaxed);
    state_.note_orphans(seen, gone);
    // Where many keys expire the next step comes at once: at the next tick.
    if (gone * 4 > seen) next_us_ = 0;
  }

  TagState& state_;
  TagHost& host_;
  Bytes cursor_ = "0";
  bool busy_ = false;
  std::int64_t next_us_ = 0;
};

// --- what workers do ---

TagJobs::TagJobs(const NodeContext& context, TagState& state, TagHost& host)
    : context_(context), state_(state), host_(host) {
  if (context.worker == 0) pruner_ = std::make_unique<Pruner>(state, host);
}

TagJobs::~TagJobs() = default;

Step TagJobs::run(const Request& request) {
  return request.spec->name == "tagcount" ? count(request) : invalidate(request);
}

Step TagJobs::count(const Request& request) {
  Result<TagQuery> query = parse_tagcount(request.argv);
  if (!query) {
    append_error(request.reply, query.error());
    return Step::done;
  }
  return start(request,
               {std::move(*query), TagAim::count, request.caller.db(), request.caller.acts_as, groups()});
}

Step TagJobs::invalidate(const Request& request) {
  Result<InvalidateArguments> words = parse_taginvalidate(request.argv);
  if (!words) {
    append_error(request.reply, words.error());
    return Step::done;
  }
  // What is left for later is done with Larder's own rights, so another user waits for it.
  if (words->sweep == Sweep::behind && request.caller.acts_as == nullptr) {
    state_.pending.add({request.caller.db(), std::move(words->query)});
    context_.keyspace.void_all();
    request.reply.integer(0);
    return Step::done;
  }
  return start(request, {std::move(words->query), TagAim::drop, request.caller.db(), request.caller.acts_as,
                         groups()});
}

/// It starts when all that its client has asked before is answered, and what follows waits for it.
Step TagJobs::start(const Request& request, TagSweep::Plan plan) {
  if (request.caller.pending() > 0) return Step::hold;
  Caller& caller = request.caller;
  const Ticket ticket = caller.defer();
  const bool drops = plan.aim == TagAim::drop;
  const bool may_repeat = drops && plan.user == nullptr;
  PendingInvalidations::Entry entry{plan.db, plan.query};
  auto done = [this, &caller, ticket, drops, may_repeat, entry](const TagSweep::Outcome& outcome) {
    ReplyWriter reply = caller.reply_to(ticket);
    if (outcome.error.empty()) {
      reply.integer(outcome.count);
    } else {
      if (drops) context_.keyspace.void_all();
      if (may_repeat) state_.pending.add(entry);
      reply.error(outcome.error);
    }
    caller.finish(ticket);
  };
  sweeps_.push_back(std::make_unique<TagSweep>(context_, state_, host_, std::move(plan), std::move(done)));
  sweeps_.back()->start();
  return Step::blocking;
}

void TagJobs::tick(std::int64_t now_us) {
  std::erase_if(sweeps_, [](const auto& sweep) { return sweep->is_done(); });
  if (context_.worker != 0) return;
  repeat_pending(now_us);
  pruner_->tick(now_us);
}

/// What is left for later is not many at once: a Redis that comes back has enough to do.
void TagJobs::repeat_pending(std::int64_t now_us) {
  if (repeating_ || now_us < repeat_us_) return;
  std::optional<PendingInvalidations::Entry> entry = state_.pending.first();
  if (!entry) return;
  repeating_ = true;
  TagSweep::Plan plan{entry->query, TagAim::drop, entry->db, nullptr, groups()};
  auto done = [this, entry = *std::move(entry)](const TagSweep::Outcome& outcome) {
    repeating_ = false;
    if (outcome.error.empty()) {
      state_.pending.remove(entry);
    } else {
      context_.keyspace.void_all();
      repeat_us_ = steady_now_us() + kRepeatUs;
    }
  };
  sweeps_.push_back(std::make_unique<TagSweep>(context_, state_, host_, std::move(plan), std::move(done)));
  sweeps_.back()->start();
}

}  // namespace larder::redis
