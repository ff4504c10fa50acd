#include "backend/redis/tag_registrar.h"

#include <algorithm>

#include <boost/unordered/unordered_flat_set.hpp>

#include "backend/block.h"
#include "command/arguments.h"
#include "command/tags.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::size_t kMostWaiting = 256;
/// `lane` of a caller while its writes with tags wait here: no lane keeps order with it.
constexpr char kWaitsForEntry = 0;

}  // namespace

class TagRegistrar::Write final : public OwnCaller {
 public:
  explicit Write(TagRegistrar& registrar) : registrar_(registrar) {}

  std::vector<Waiting*> waiters;

  [[nodiscard]] bool is_free() const noexcept { return !busy_; }
  [[nodiscard]] TagDirectory::Entry entry() const noexcept { return entry_; }

  void start(TagDirectory::Entry entry) {
    entry_ = entry;
    busy_ = true;
    epoch_ = registrar_.state_.directory.epoch();
    const std::string name = TagDirectory::name(registrar_.state_.prefix, entry.page);
    const std::string slot = std::to_string(entry.slot);
    if (ask(registrar_.host_, std::to_array<ByteView>({"SETBIT", name, slot, "1"}))) finish(0);
  }

  void finish(Ticket) override {
    busy_ = false;
    const ReplyCursor::Value value = ReplyCursor(reply()).next();
    if (!value.is_error()) registrar_.state_.directory.learn(entry_, epoch_);
    registrar_.written(*this, value.is_error() ? value.text : ByteView());
  }

 private:
  TagRegistrar& registrar_;
  TagDirectory::Entry entry_{};
  std::uint32_t epoch_ = 0;
  bool busy_ = false;
};

TagRegistrar::TagRegistrar(TagState& state, const KnownCommands& commands, const Topology& topology,
                           TagHost& host, Errands& errands, Retries& retries)
    : state_(state),
      commands_(commands),
      topology_(topology),
      host_(host),
      errands_(errands),
      retries_(retries) {}

TagRegistrar::~TagRegistrar() = default;

std::optional<Step> TagRegistrar::take(const Request& request, const Route& route, const Lane& lane) {
  if (knows_all(request, route)) return std::nullopt;
  Caller& caller = request.caller;
  if (caller.lane != &kWaitsForEntry && !lane.keeps_order(caller)) return Step::hold;
  if (waiting_.size() >= kMostWaiting && caller.may_hold()) return Step::hold;
  waiting_.push_back(std::make_unique<Waiting>(
      Waiting{.entries = entries_, .caller = &caller, .errand = errands_.keep(request, caller.defer())}));
  caller.lane = &kWaitsForEntry;
  ask_for_missing(*waiting_.back());
  settle();
  return Step::pending;
}

std::optional<Step> TagRegistrar::hold(const Request& request, const Route& route) {
  if (knows_all(request, route)) return std::nullopt;
  if (!held_error_.empty()) {
    request.reply.error(std::exchange(held_error_, {}));
    return Step::done;
  }
  enter(entries_, [this](ByteView error) { held_error_ = error; });
  return knows_all(entries_) ? std::nullopt : std::optional(Step::hold);
}

void TagRegistrar::enter(std::span<const TagDirectory::Entry> entries, Done done) {
  if (knows_all(entries)) return done({});
  waiting_.push_back(std::make_unique<Waiting>(
      Waiting{.entries = {entries.begin(), entries.end()}, .done = std::move(done)}));
  ask_for_missing(*waiting_.back());
  settle();
}

/// Leaves the request's entries in entries_.
bool TagRegistrar::knows_all(const Request& request, const Route& route) {
  if (!topology_.is_cluster()) return true;
  entries_.clear();
  collect(request, route);
  return knows_all(entries_);
}

bool TagRegistrar::knows_all(std::span<const TagDirectory::Entry> entries) const noexcept {
  return std::ranges::all_of(entries, [this](auto entry) { return state_.directory.knows(entry); });
}

void TagRegistrar::collect(const Request& request, const Route& route) {
  const auto add = [&](const auto& tags) {
    for (const ByteView tag : tags) TagDirectory::append_entries(tag, hash_slot(request.argv[1]), entries_);
  };
  switch (route.tags) {
    case TagRole::sets:
      if (!is_about_tags(*request.spec, request.argv)) return;
      if (const Result<WriteOptions> options = parse_set_options(request.argv.subspan(3)))
        add(*options->tags);
      return;
    case TagRole::adds:
      return add(request.argv.subspan(2));
    case TagRole::block:
      return for_each_queued(request,
                             [this](const Request& queued) { collect(queued, commands_.route(queued)); });
    default:
      return;
  }
}

void TagRegistrar::ask_for_missing(Waiting& waiting) {
  // All are counted before the first is asked for: its answer may come at once.
  std::vector<std::pair<Write*, TagDirectory::Entry>> fresh;
  std::vector<TagDirectory::Entry> seen;
  for (const TagDirectory::Entry entry : waiting.entries) {
    if (state_.directory.knows(entry) || std::ranges::find(seen, entry) != seen.end()) continue;
    seen.push_back(entry);
    ++waiting.missing;
    Write*& write = asked_[entry.number()];
    if (write == nullptr) {
      const auto is_idle = [&](const auto& one) {
        return one->is_free() &&
               std::ranges::find(fresh, one.get(), &decltype(fresh)::value_type::first) == fresh.end();
      };
      const auto idle = std::ranges::find_if(writes_, is_idle);
      write =
          idle != writes_.end() ? idle->get() : writes_.emplace_back(std::make_unique<Write>(*this)).get();
      fresh.emplace_back(write, entry);
    }
    write->waiters.push_back(&waiting);
  }
  ready_ |= waiting.missing == 0;  // another worker was faster
  for (const auto& [write, entry] : fresh) write->start(entry);
}

void TagRegistrar::written(Write& write, ByteView error) {
  asked_.erase(write.entry().number());
  for (Waiting* waiting : std::exchange(write.waiters, {})) {
    if (waiting->error.empty()) waiting->error = error;
    ready_ |= --waiting->missing == 0;
  }
  if (ready_) settle();
}

/// Whoever has all entries and nobody of the same client before it, goes.
void TagRegistrar::settle() {
  if (std::exchange(settling_, true)) return;
  do {
    ready_ = false;
    boost::unordered_flat_set<const Caller*> behind;
    std::deque<std::unique_ptr<Waiting>> all = std::exchange(waiting_, {}), left;
    for (auto& waiting : all) {
      const bool may_go = waiting->missing == 0 && !behind.contains(waiting->caller);
      // What was entered may have been forgotten since.
      if (may_go && waiting->error.empty() && !knows_all(waiting->entries)) ask_for_missing(*waiting);
      if (may_go && waiting->missing == 0) {
        end(*waiting);
        continue;
      }
      if (waiting->caller != nullptr) behind.insert(waiting->caller);
      left.push_back(std::move(waiting));
    }
    waiting_.insert(waiting_.begin(), std::make_move_iterator(left.begin()),
                    std::make_move_iterator(left.end()));
  } while (ready_);
  settling_ = false;
}

void TagRegistrar::end(Waiting& waiting) {
  if (waiting.errand == 0) return waiting.done(waiting.error);
  if (!waiting.error.empty()) return retries_.give_up(waiting.errand, waiting.error);
  errands_[waiting.errand].directory_epoch = state_.directory.epoch();
  retries_.begin(waiting.errand);
}

}  // namespace larder::redis
