#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backend/redis/lane.h"
#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_journal.h"
#include "backend/redis/tag_names.h"
#include "backend/redis/tag_state.h"

namespace larder::redis {

/// What a query about tags is for.
enum class TagAim : std::uint8_t {
  drop,
  count,
  clean,  ///< forget what is gone: the second part of a drop, when its client has its answer
};

/// One query about tags, run in bounded steps: in each group of keys tag after tag, and a tag's index from
/// its begin to its end.
///
/// A key that is renamed or copied while its group is swept may move from where the sweep is still to come to
/// where it was. The scripts note such moves, and at the end of a tag these keys are looked at. What fits
/// into one step cannot be disturbed.
///
/// Life: its walks are callers, so it lives until none of them waits. Thread: one worker.
class TagSweep {
 public:
  /// A slot that somebody else has seen to, within a transaction.
  struct Apart {
    std::uint16_t slot;
    std::uint32_t losses;  ///< of masters, before that
  };

  struct Plan {
    TagQuery query;
    TagAim aim = TagAim::drop;
    int db = 0;
    std::shared_ptr<const UpstreamUser> user{};  ///< null: Larder's own
    std::optional<Apart> apart{};
  };

  /// What became of it.
  struct Outcome {
    std::int64_t count = 0;
    Bytes error{};  ///< empty: all is done
    TagJournal::Hold hold{};
  };
  using Done = std::function<void(const Outcome&)>;

  /// `is_long` is called once, if it turns out that keys are dropped in more than a step or a few.
  TagSweep(const NodeContext& context, TagState& state, TagHost& host, Plan plan,
           std::function<void()> is_long, Done done);
  ~TagSweep();

  void start(std::vector<TagGroup> groups);
  [[nodiscard]] bool is_done() const noexcept { return done_ == nullptr && open_ == 0 && unclean_.empty(); }

  /// Begins the second part of a drop, if the first is over and has left something to do.
  void clean_up();

 private:
  class Walk;

  void start_walks();
  void walked(const Bytes& error);
  void note_step(std::int64_t count, std::int64_t seen);
  void note_is_long();

  const NodeContext& context_;
  TagState& state_;
  TagHost& host_;
  Plan plan_;
  std::vector<TagGroup> groups_;
  std::function<void()> is_long_;  ///< null: it was called
  Done done_;                      ///< null: it was called
  std::vector<TagGroup> unclean_;  ///< where keys were dropped and their bookkeeping is still there
  std::vector<std::unique_ptr<Walk>> walks_;
  std::size_t next_group_ = 0;
  std::size_t open_ = 0;
  bool starting_ = false;
  Outcome outcome_;
  TagProgress progress_;  ///< others see it from the second step on
  std::uint64_t steps_ = 0;
};

}  // namespace larder::redis
