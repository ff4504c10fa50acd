#include "backend/redis/tag_sweep.h"

#include <algorithm>
#include <utility>

#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr ByteView kStepWork = "1500";    // in the scripts' unit: about microseconds
constexpr std::size_t kWalksAtOnce = 64;  // of one sweep: their steps fill the pipelines
constexpr int kMostAttempts = 3;          // of a step whose script was flushed

constexpr ByteView kMoves = "moves";  // a cursor: of the log of moves
constexpr ByteView kLost = "lost";    // in place of the log

const char* name_of(TagAim aim) noexcept {
  return aim == TagAim::drop ? "drop" : aim == TagAim::count ? "count" : "clean";
}

}  // namespace

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

}  // namespace larder::redis
