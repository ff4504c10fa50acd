#include "backend/redis/tag_pruner.h"

#include "backend/redis/tag_names.h"
#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::int64_t kPruneUs = 100'000;
constexpr ByteView kRecordsAStep = "200";

}  // namespace

void TagPruner::tick(std::int64_t now_us) {
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

bool TagPruner::find_db() {
  if (cursor_ != "0") return state_.in_use(db_);
  constexpr int kDatabases = 64;
  for (int tries = 0; tries < kDatabases; ++tries) {
    db_ = (db_ + 1) % kDatabases;
    if (state_.in_use(db_)) return true;
  }
  return false;
}

bool TagPruner::find_slot() {
  if (cursor_ != "0") return true;
  for (std::size_t tries = 0; tries < kHashSlots / share_; ++tries) {
    slot_ += share_;
    if (slot_ >= kHashSlots) slot_ = first_;
    if (state_.directory.knows({TagDirectory::kEverything, static_cast<std::uint16_t>(slot_)})) return true;
  }
  return false;
}

bool TagPruner::ask_step() {
  const TagGroup group = topology_.is_cluster()
                             ? TagGroup::of_slot(state_.prefix, static_cast<std::uint16_t>(slot_))
                             : TagGroup::of_database(state_.prefix);
  const std::vector<std::string> names = group.own_keys();
  const std::vector<ByteView> keys(names.begin(), names.end());
  return call(host_, TagScript::prune, keys, std::to_array<ByteView>({cursor_, kRecordsAStep}));
}

void TagPruner::take() {
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

}  // namespace larder::redis
