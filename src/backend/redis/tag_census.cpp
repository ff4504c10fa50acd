#include "backend/redis/tag_census.h"

#include "backend/redis/tag_names.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::size_t kCensusWalks = 64;
constexpr std::size_t kTagsAStep = 500;
constexpr std::int64_t kCensusPollUs = 1'000'000;
constexpr std::int64_t kCensusPauseUs = 200'000;  // after one that could not be completed

}  // namespace

/// Goes from slot to slot, each walk on its own.
class TagCensus::Walk final : public OwnCaller {
 public:
  explicit Walk(TagCensus& census) : census_(census) {}

  void start() {
    end_slot();
    go_on();
  }

  void finish(Ticket) override {
    if (take()) go_on();
  }

 private:
  /// Steps until one has to be waited for, or no slot is left.
  void go_on() {
    do {
      if (census_.failed_ || census_.is_obsolete()) return census_.walked();
      if (from_.empty()) {
        if (census_.next_slot_ == kHashSlots) return census_.walked();
        slot_ = static_cast<std::uint16_t>(census_.next_slot_++);
        from_ = "-";
      }
      const std::string registry = TagGroup::of_slot(census_.state_.prefix, slot_).registry();
      const std::string most = std::to_string(kTagsAStep);
      if (!ask(census_.host_,
               std::to_array<ByteView>({"ZRANGEBYLEX", registry, from_, "+", "LIMIT", "0", most})))
        return;
    } while (take());
  }

  /// True: go on; otherwise that is done when what lacks is in the book.
  [[nodiscard]] bool take() {
    ReplyCursor cursor(reply());
    const ReplyCursor::Value head = cursor.next();
    if (head.is_error()) {
      census_.failed_ = true;
      return true;
    }
    std::vector<TagDirectory::Entry> lacking;
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(head.count, 0));
    for (std::size_t i = 0; i < count; ++i) {
      const ByteView tag = cursor.next().text;
      entries_.clear();
      TagDirectory::append_entries(tag, slot_, entries_);
      for (const TagDirectory::Entry entry : entries_)
        if (!census_.state_.directory.knows(entry)) lacking.push_back(entry);
      if (i + 1 == count) from_ = Bytes("(").append(tag);
    }
    if (count < kTagsAStep) end_slot();
    // What was read before a flush that has been heard of since must not be written behind it.
    if (lacking.empty() || census_.is_obsolete()) return true;
    entering_ = true;
    census_.registrar_.enter(lacking, [this](ByteView error) {
      census_.failed_ |= !error.empty();
      if (!std::exchange(entering_, false)) go_on();
    });
    return !std::exchange(entering_, false);
  }

  void end_slot() noexcept { from_.clear(); }

  TagCensus& census_;
  std::uint16_t slot_ = 0;
  Bytes from_;  ///< where the slot's tags go on; empty: it is done
  bool entering_ = false;
  std::vector<TagDirectory::Entry> entries_;
};

/// Reads the page of all slots with bookkeeping. If it lacks one that was known, somebody has flushed the
/// cluster.
class TagCensus::Poll final : public OwnCaller {
 public:
  Poll(TagState& state, TagHost& host) : state_(state), host_(host) {}

  void tick(std::int64_t now_us) {
    if (busy_ || now_us < next_us_) return;
    next_us_ = now_us + kCensusPollUs;
    epoch_ = state_.directory.epoch();
    for (std::uint16_t slot = 0; slot < kHashSlots; ++slot)
      known_[slot] = state_.directory.knows({TagDirectory::kEverything, slot});
    busy_ = true;
    const std::string name = TagDirectory::name(state_.prefix, TagDirectory::kEverything);
    if (ask(host_, std::to_array<ByteView>({"GET", name}))) finish(0);
  }

  void finish(Ticket) override {
    busy_ = false;
    const ReplyCursor::Value page = ReplyCursor(reply()).next();
    if (page.is_error() || epoch_ != state_.directory.epoch()) return;
    if (!page.is_null()) state_.use(0);
    const ByteView bits = page.is_null() ? ByteView() : page.text;
    bool lacks = false;
    for (std::uint16_t slot = 0; slot < kHashSlots; ++slot) {
      const bool is_set = has_bit(bits, slot);
      if (is_set && !known_[slot]) state_.directory.learn({TagDirectory::kEverything, slot}, epoch_);
      lacks |= known_[slot] && !is_set;
    }
    if (lacks) state_.directory.doubt();
  }

 private:
  TagState& state_;
  TagHost& host_;
  std::vector<bool> known_ = std::vector<bool>(kHashSlots);
  std::uint32_t epoch_ = 0;
  bool busy_ = false;
  std::int64_t next_us_ = 0;
};

TagCensus::TagCensus(TagState& state, TagRegistrar& registrar, TagHost& host)
    : state_(state), registrar_(registrar), host_(host), poll_(std::make_unique<Poll>(state, host)) {}

TagCensus::~TagCensus() = default;

bool TagCensus::is_obsolete() const noexcept {
  return state_.directory.begin_check() != begun_;
}

void TagCensus::tick(std::int64_t now_us) {
  poll_->tick(now_us);
  if (open_ > 0 || now_us < next_us_ || state_.directory.is_trusted()) return;
  if (!state_.in_use(0) && !state_.directory.missed) return;
  begun_ = state_.directory.begin_check();
  next_slot_ = 0;
  failed_ = false;
  next_us_ = now_us + kCensusPauseUs;
  if (walks_.empty())
    for (std::size_t i = 0; i < kCensusWalks; ++i) walks_.push_back(std::make_unique<Walk>(*this));
  open_ = walks_.size();
  for (const auto& walk : walks_) walk->start();
}

void TagCensus::walked() {
  if (--open_ > 0 || failed_ || is_obsolete()) return;
  state_.directory.trust(begun_);
}

}  // namespace larder::redis
