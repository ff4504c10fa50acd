#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/redis/master_view.h"
#include "backend/redis/retries.h"
#include "backend/redis/sentinel_watch.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// What a worker does because Sentinels say where the master is: it goes there, and nowhere else.
///
/// Thread: one worker; `view` is shared with the others.
class Follower {
 public:
  Follower(const NodeContext& context, Topology& topology, Retries& retries, MasterView& view);

  /// Looks at a request before anything else is done with it. Nothing: it is for the master, go on.
  [[nodiscard]] std::optional<Step> take(const Request& request) {
    if (seen_ == view_.version() && topology_.has_master()) return std::nullopt;
    return await_master(request);
  }

  /// While the master is not known: why nobody says who it is; empty: that is being found out.
  [[nodiscard]] ByteView problem() const noexcept { return problem_; }

  void tick(std::int64_t now_us);
  void close();

 private:
  [[nodiscard]] Step await_master(const Request& request);
  void follow_soon();
  void follow();

  const NodeContext& context_;
  Topology& topology_;
  Retries& retries_;
  MasterView& view_;
  std::uint32_t seen_ = 0;  ///< of the view
  bool follows_soon_ = false;
  std::string problem_;
  std::unique_ptr<SentinelWatch> watch_;  ///< of the first worker
};

}  // namespace larder::redis
