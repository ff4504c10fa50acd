#include "backend/redis/tag_listing.h"

#include <algorithm>

#include "backend/redis/tag_names.h"
#include "backend/redis/tag_requests.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::size_t kSlotsAtOnce = 64;

}  // namespace

class TagListing::Part final : public OwnCaller {
 public:
  Part(TagListing& listing, std::uint16_t slot) : listing_(listing), slot_(slot) {
    acts_as = listing.plan_.user;
  }

  void start() {
    if (is_answered()) return listing_.answered();
    const std::vector<std::string> names = TagGroup::of_slot(listing_.state_.prefix, slot_).own_keys();
    const std::vector<ByteView> keys(names.begin(), names.end());
    const TagKeysArguments& words = listing_.plan_.words;
    const TagQuery& query = words.query;
    const std::string place = std::to_string(place_in(slot_, words.cursor));
    const std::string count = std::to_string(std::min(words.count, kMostKeysAStep));
    const ByteView reach = query.reach == TagQuery::Reach::exact ? "exact" : "below";
    if (call(listing_.host_, TagScript::keys, keys,
             std::to_array<ByteView>({query.tags.front(), reach, place, count})))
      finish(0);
  }

  void finish(Ticket) override {
    if (ReplyCursor(reply()).next().text.starts_with("NOSCRIPT") && attempts_++ == 0) return start();
    listing_.answered();
  }

  /// Adds the keys; returns the place to go on from. Nothing: an error, which is noted.
  [[nodiscard]] std::optional<std::uint64_t> take(Outcome& outcome) const {
    ReplyCursor cursor(is_answered() ? listing_.plan_.answer : reply());
    const ReplyCursor::Value head = cursor.next();
    if (head.is_error() || head.count != 2) {
      outcome.error = head.is_error() ? Bytes(head.text) : "ERR Redis answered with something else";
      return std::nullopt;
    }
    const Bytes place(cursor.next().text);
    for (std::int64_t left = cursor.next().count; left > 0; --left)
      outcome.keys.emplace_back(cursor.next().text);
    return std::stoull(place);
  }

 private:
  [[nodiscard]] bool is_answered() const noexcept { return listing_.plan_.answered == slot_; }

  TagListing& listing_;
  const std::uint16_t slot_;
  int attempts_ = 0;
};

TagListing::TagListing(TagState& state, TagHost& host, Plan plan, Done done)
    : state_(state), host_(host), plan_(std::move(plan)), done_(std::move(done)) {}

TagListing::~TagListing() = default;

void TagListing::start(const TagSurvey::Slots& slots) {
  const std::uint16_t from = plan_.words.cursor % kHashSlots;
  slots_.assign(std::ranges::lower_bound(slots, from), slots.end());
  begin_wave();
}

void TagListing::begin_wave() {
  wave_ = parts_.size();
  const std::size_t end = std::min(slots_.size(), wave_ + kSlotsAtOnce);
  for (std::size_t i = wave_; i < end; ++i) parts_.push_back(std::make_unique<Part>(*this, slots_[i]));
  if (wave_ == end) return done_(outcome_);
  open_ = end - wave_ + 1;
  for (std::size_t i = wave_; i < end; ++i) parts_[i]->start();
  answered();
}

void TagListing::answered() {
  if (--open_ == 0) take_wave();
}

/// In the order of the slots, up to the first that is not at its end.
void TagListing::take_wave() {
  for (std::size_t i = wave_; i < parts_.size(); ++i) {
    const std::optional<std::uint64_t> place = parts_[i]->take(outcome_);
    if (!place) return done_(outcome_);
    if (*place != 0) {
      outcome_.cursor = *place * kHashSlots + slots_[i];
      return done_(outcome_);
    }
    if (outcome_.keys.size() >= plan_.words.count && i + 1 < slots_.size()) {
      outcome_.cursor = slots_[i + 1];
      return done_(outcome_);
    }
  }
  begin_wave();
}

}  // namespace larder::redis
