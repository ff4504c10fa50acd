#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/redis/known_commands.h"
#include "backend/redis/lane.h"
#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_census.h"
#include "backend/redis/tag_journal.h"
#include "backend/redis/tag_listing.h"
#include "backend/redis/tag_names.h"
#include "backend/redis/tag_pruner.h"
#include "backend/redis/tag_registrar.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/tag_survey.h"
#include "backend/redis/tag_sweep.h"
#include "backend/redis/topology.h"
#include "command/tags.h"

namespace larder::redis {

void append_outcome(ReplyWriter& reply, const TagSweep::Outcome& outcome);
void append_outcome(ReplyWriter& reply, const TagListing::Outcome& outcome);

/// The commands about all keys of a tag, and what is done about tags without being asked.
///
/// Thread: one worker; `state` is shared with the others.
class TagJobs {
 public:
  TagJobs(const NodeContext& context, TagState& state, Topology& topology, TagRegistrar& registrar,
          TagHost& host);
  ~TagJobs();

  /// TAGINVALIDATE and TAGCOUNT; in a cluster TAGKEYS too.
  [[nodiscard]] Step run(const Request& request);

  /// A command that was answered with an error before it could begin: an invalidation will be done.
  void note_refused(const Request& request);

  /// Runs a part of a client's command. What could not be dropped L1 has no more, and it will be repeated.
  void sweep_for_client(TagSweep::Plan plan, TagSweep::Done done);
  void list_for_client(TagListing::Plan plan, TagListing::Done done);

  void tick(std::int64_t now_us);

  /// From now on nothing is begun unasked; what is in the journal others will do.
  void drain() noexcept;

  [[nodiscard]] bool is_quiet() const noexcept {
    return jobs_.empty() && lists_.empty() && journal_.is_quiet() &&
           (census_ == nullptr || census_->is_quiet());
  }

 private:
  /// A sweep and what it needs to know. Life: until tick() after it has told, as its parts are callers.
  struct Job {
    TagSweep::Plan plan;
    TagJournal::Hold hold;  ///< null: not in the journal
    TagSweep::Done done;
    std::unique_ptr<TagSurvey> survey{};
    std::unique_ptr<TagSweep> sweep{};
    std::int64_t count = 0;  ///< of the rounds before this one
    int rounds = 0;
    std::uint32_t losses = 0;  ///< of masters, when this round began
    enum class Stage : std::uint8_t { running, again, over } stage = Stage::running;
  };
  struct List {
    std::unique_ptr<TagSurvey> survey;
    std::unique_ptr<TagListing> listing;
    bool over = false;
  };

  [[nodiscard]] Step invalidate(const Request& request);
  [[nodiscard]] Step count(const Request& request);
  [[nodiscard]] Step list(const Request& request);
  [[nodiscard]] Step start(const Request& request, TagSweep::Plan plan);
  [[nodiscard]] Step leave_for_later(const Request& request, TagQuery query);
  void launch(TagSweep::Plan plan, TagJournal::Hold hold, TagSweep::Done done);
  void begin(Job& job);
  void sweep(Job& job, std::vector<TagGroup> groups);
  void swept(Job& job, const TagSweep::Outcome& outcome);
  void repeat_pending();

  const NodeContext& context_;
  TagState& state_;
  Topology& topology_;
  TagHost& host_;
  TagJournal journal_;
  boost::unordered_flat_map<const Caller*, std::size_t> entering_;  ///< how many of each, with ASYNC
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<List>> lists_;
  std::size_t repeating_ = 0, most_repeating_ = 1;  ///< invalidations that were left for later
  std::int64_t repeat_us_ = 0;                      ///< none before that
  bool draining_ = false;
  std::vector<std::unique_ptr<TagPruner>> pruners_;  ///< of the first worker
  std::unique_ptr<TagCensus> census_;                ///< of the first worker
};

}  // namespace larder::redis
