#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backend/redis/known_commands.h"
#include "backend/redis/lane.h"
#include "backend/redis/tag_names.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/topology.h"
#include "command/tags.h"

namespace larder::redis {

/// Sends a request of Larder's own.
class TagHost {
 public:
  [[nodiscard]] virtual Step send_own(const Request& request, const Route& route) = 0;

 protected:
  ~TagHost() = default;
};

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
/// where it was. The scripts count such moves; if there were any the group is swept once more. What fits
/// into one step cannot be disturbed.
///
/// Life: its walks are callers, so it lives until none of them waits. Thread: one worker.
class TagSweep {
 public:
  struct Plan {
    TagQuery query;
    TagAim aim = TagAim::drop;
    int db = 0;
    std::shared_ptr<const UpstreamUser> user{};  ///< null: Larder's own
    std::vector<TagGroup> groups;
  };

  /// What became of it.
  struct Outcome {
    std::int64_t count = 0;
    Bytes error{};  ///< empty: all is done
  };
  using Done = std::function<void(const Outcome&)>;

  TagSweep(const NodeContext& context, TagState& state, TagHost& host, Plan plan, Done done);
  ~TagSweep();

  void start();
  [[nodiscard]] bool is_done() const noexcept { return done_ == nullptr && open_ == 0; }

 private:
  class Walk;

  void start_walks();
  void clean_up();
  void walked(const Bytes& error);

  const NodeContext& context_;
  TagState& state_;
  TagHost& host_;
  Plan plan_;
  Done done_;                      ///< null: it was called
  std::vector<TagGroup> unclean_;  ///< where keys were dropped and their bookkeeping is still there
  std::vector<std::unique_ptr<Walk>> walks_;
  std::size_t next_group_ = 0;
  std::size_t open_ = 0;
  bool starting_ = false;
  Outcome outcome_;
};

/// The commands about all keys of a tag, and what is done about tags without being asked.
///
/// Thread: one worker; `state` is shared with the others.
class TagJobs {
 public:
  TagJobs(const NodeContext& context, TagState& state, TagHost& host);
  ~TagJobs();

  /// TAGINVALIDATE and TAGCOUNT.
  [[nodiscard]] Step run(const Request& request);

  void tick(std::int64_t now_us);

  [[nodiscard]] bool is_quiet() const noexcept { return sweeps_.empty(); }

 private:
  class Pruner;

  [[nodiscard]] Step invalidate(const Request& request);
  [[nodiscard]] Step count(const Request& request);
  [[nodiscard]] Step start(const Request& request, TagSweep::Plan plan);
  void repeat_pending(std::int64_t now_us);
  [[nodiscard]] std::vector<TagGroup> groups() const { return {TagGroup(state_.prefix)}; }

  const NodeContext& context_;
  TagState& state_;
  TagHost& host_;
  std::vector<std::unique_ptr<TagSweep>> sweeps_;
  bool repeating_ = false;
  std::int64_t repeat_us_ = 0;
  std::unique_ptr<Pruner> pruner_;
};

}  // namespace larder::redis
