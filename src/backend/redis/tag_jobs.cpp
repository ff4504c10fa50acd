#include "backend/redis/tag_jobs.h"

#include <utility>

#include "command/error_reply.h"

namespace larder::redis {
namespace {

constexpr std::int64_t kRepeatUs = 200'000;  // between attempts of what could not be completed
constexpr std::size_t kMostRepeating = 16;   // of those, side by side: each may be a step in Redis' queue
constexpr std::size_t kPruners = 32;         // in a cluster: each has a share of the slots
constexpr int kMostRounds = 3;               // of a sweep that is disturbed by the loss of masters

}  // namespace

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
    pruners_.push_back(std::make_unique<TagPruner>(state, topology, host, i, kPruners));
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

void TagJobs::note_refused(const Request& request) {
  if (request.spec->name != "taginvalidate" || request.caller.acts_as != nullptr) return;
  Result<InvalidateArguments> words = parse_taginvalidate(request.argv);
  if (!words) return;
  context_.keyspace.void_all();
  state_.pending.add({request.caller.db(), std::move(words->query)});
}

/// It is answered when it is in the journal: from then on it will be done, whoever lives. It must not come
/// before what its client has written, and may come with others like it. L1 hears of the keys that go, as of
/// any others.
Step TagJobs::leave_for_later(const Request& request, TagQuery query) {
  Caller& caller = request.caller;
  const auto own = entering_.find(&caller);
  if (caller.pending() > (own == entering_.end() ? 0 : own->second)) return Step::hold;
  const Ticket ticket = caller.defer();
  ++entering_[&caller];
  PendingInvalidations::Entry entry{caller.db(), std::move(query)};
  const auto entered = [this, &caller, ticket, entry](const TagJournal::Hold& hold, ByteView error) mutable {
    if (auto own = entering_.find(&caller); --own->second == 0) entering_.erase(own);
    if (error.empty()) entry.hold = hold;
    state_.pending.add(std::move(entry));
    if (!error.empty()) context_.keyspace.void_all();
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
             if (journal_.has(outcome.hold)) entry.hold = outcome.hold;
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

void TagJobs::drain() noexcept {
  draining_ = true;
  journal_.drain();
}

/// Side by side, as each of them takes at least one way to Redis. After one that has failed only one is tried
/// until one succeeds: a Redis that is still away costs no more than that. So it is, too, while each would
/// visit all slots of a cluster.
void TagJobs::repeat_pending() {
  const bool is_costly = topology_.is_cluster() && !state_.directory.is_trusted();
  while (!draining_ && repeating_ < (is_costly ? 1 : most_repeating_) && steady_now_us() >= repeat_us_) {
    std::optional<PendingInvalidations::Entry> entry = state_.pending.take();
    if (!entry) return;
    ++repeating_;
    TagSweep::Plan plan{entry->query, TagAim::drop, entry->db, nullptr};
    TagJournal::Hold hold = entry->hold;
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
