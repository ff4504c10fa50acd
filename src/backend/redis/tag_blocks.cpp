#include "backend/redis/tag_blocks.h"

#include <utility>
#include <variant>

#include "backend/block.h"
#include "backend/redis/hash_slot.h"
#include "resp/reply_cursor.h"

namespace larder::redis {

class TagBlocks::Block final : public Caller {
 public:
  Block(const TagBlocks& owner, const Request& exec, const Route& route)
      : jobs_(owner.jobs_), client_(exec.caller) {
    stand_in_for(client_);
    if (route.first_key) slot_ = hash_slot(*route.first_key);
    const std::uint32_t losses = owner.state_.directory.losses();
    std::size_t position = 0;
    for_each_queued(exec, [&](const Request& queued) {
      if (concerns_all_of_tag(owner.commands_.route(queued).tags))
        rests_.push_back({position, plan_of(queued, losses)});
      ++position;
    });
  }

  /// The block is on its way.
  void await() {
    ticket_ = client_.defer();
    if (is_answered_) go_on();
  }

  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

  // --- Caller, for the block ---
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {reply_, protocol_}; }
  void finish(Ticket) override {
    is_answered_ = true;
    take_reply();
    if (ticket_) go_on();
  }
  [[nodiscard]] std::size_t pending() const noexcept override { return client_.pending(); }
  [[nodiscard]] Caller& client() noexcept override { return client_.client(); }

 private:
  /// What is to be done in the other slots, and whose element of EXEC's reply that completes.
  struct Rest {
    std::size_t position;
    std::variant<TagSweep::Plan, TagListing::Plan> plan;
  };

  /// ASYNC makes no difference: what is left for later would delete what is written behind it.
  [[nodiscard]] std::variant<TagSweep::Plan, TagListing::Plan> plan_of(const Request& queued,
                                                                       std::uint32_t losses) const {
    if (queued.spec->name == "tagkeys")
      return TagListing::Plan{.words = *parse_tagkeys(queued.argv), .user = acts_as, .answered = slot_};
    const bool counts = queued.spec->name == "tagcount";
    TagSweep::Plan plan{
        .query = counts ? *parse_tagcount(queued.argv) : parse_taginvalidate(queued.argv)->query,
        .aim = counts ? TagAim::count : TagAim::drop,
        .db = db_,
        .user = acts_as};
    if (slot_) plan.apart = {*slot_, losses};
    return plan;
  }

  /// Nothing is left to be done if Redis ran none of the commands.
  void take_reply() {
    heard_of_ = is_heard_of;
    took_us_ = upstream_us;
    has_array_ = reply_.starts_with('*') && !reply_.starts_with("*-");
    if (!has_array_) return rests_.clear();
    ReplyCursor cursor(reply_);
    for (std::int64_t left = cursor.next().count; left > 0; --left) elements_.emplace_back(cursor.take());
  }

  /// One after the other, as an invalidation may be followed by a count.
  void go_on() {
    if (std::exchange(is_going_, true)) return;
    while (!is_waiting_ && next_ < rests_.size()) {
      is_waiting_ = true;
      start(rests_[next_]);
    }
    is_going_ = false;
    if (!is_waiting_) tell();
  }

  void start(Rest& rest) {
    const ByteView part = elements_[rest.position];
    const ReplyCursor::Value head = ReplyCursor(part).next();
    if (head.is_error()) return completed();
    if (auto* sweep = std::get_if<TagSweep::Plan>(&rest.plan)) {
      const std::int64_t count = head.integer();
      return jobs_.sweep_for_client(std::move(*sweep), [this, count](TagSweep::Outcome outcome) {
        outcome.count += count;
        complete(outcome);
      });
    }
    auto& listing = std::get<TagListing::Plan>(rest.plan);
    listing.answer = part;
    jobs_.list_for_client(std::move(listing),
                          [this](const TagListing::Outcome& outcome) { complete(outcome); });
  }

  template <class Outcome>
  void complete(const Outcome& outcome) {
    Bytes& element = elements_[rests_[next_].position];
    element.clear();
    ReplyWriter writer(element, protocol_);
    append_outcome(writer, outcome);
    completed();
  }

  void completed() {
    is_waiting_ = false;
    ++next_;
    go_on();
  }

  void tell() {
    ReplyWriter writer = client_.reply_to(*ticket_);
    if (has_array_) writer.begin_array(elements_.size());
    if (!has_array_) writer.raw(reply_);
    for (const Bytes& element : elements_) writer.raw(element);
    client_.is_heard_of = heard_of_;
    client_.upstream_us = took_us_;
    is_over_ = true;
    client_.finish(*ticket_);
  }

  TagJobs& jobs_;
  Caller& client_;
  std::optional<std::uint16_t> slot_;  ///< of the block
  std::optional<Ticket> ticket_;       ///< of EXEC
  std::vector<Rest> rests_;
  std::size_t next_ = 0;  ///< of them, that is under way or comes next
  Bytes reply_;           ///< to the block
  std::vector<Bytes> elements_;
  std::int64_t took_us_ = 0;
  bool heard_of_ = false;
  bool is_answered_ = false, has_array_ = false;
  bool is_going_ = false, is_waiting_ = false, is_over_ = false;
};

TagBlocks::TagBlocks(TagJobs& jobs, const TagState& state, const KnownCommands& commands)
    : jobs_(jobs), state_(state), commands_(commands) {}

TagBlocks::~TagBlocks() = default;

Step TagBlocks::run(const Request& exec, const Route& route, Send send) {
  if (exec.caller.pending() > 0) return Step::hold;
  auto block = std::make_unique<Block>(*this, exec, route);
  const Step step = send({exec.spec, exec.argv, exec.raw, exec.now_ms, *block, exec.reply});
  if (step == Step::done || step == Step::hold) return step;
  blocks_.push_back(std::move(block));
  blocks_.back()->await();
  return Step::blocking;
}

void TagBlocks::tick() {
  std::erase_if(blocks_, [](const auto& block) { return block->is_over(); });
}

}  // namespace larder::redis
