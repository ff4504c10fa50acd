#include "backend/redis/follower.h"

namespace larder::redis {

Follower::Follower(const NodeContext& context, Topology& topology, Retries& retries, MasterView& view)
    : context_(context), topology_(topology), retries_(retries), view_(view) {
  if (context.worker == 0) watch_ = std::make_unique<SentinelWatch>(context, view, [this] { follow_soon(); });
}

/// The request is run again when the worker has gone to the master that it does not know yet, or answered
/// with the reason why nobody says who that is.
Step Follower::await_master(const Request& request) {
  if (seen_ != view_.version()) follow_soon();
  if (topology_.has_master() || problem_.empty()) return Step::hold;
  request.reply.error(problem_);
  return Step::done;
}

/// Not at once: to leave a master answers requests, which must not happen inside the call that brings
/// another.
void Follower::follow_soon() {
  if (std::exchange(follows_soon_, true)) return;
  context_.poller.at_end_of_batch([this] { follow(); });
}

void Follower::follow() {
  follows_soon_ = false;
  seen_ = view_.version();
  const MasterView::State state = view_.state();
  problem_ = state.problem;
  if (!state.master) return;
  const bool is_new = topology_.set_master(*state.master);
  if (context_.options.reads_from_replicas) topology_.set_replicas(state.replicas);
  if (is_new) retries_.replay(Retries::Occasion::news);
}

void Follower::tick(std::int64_t now_us) {
  if (watch_ != nullptr) watch_->tick(now_us);
  if (seen_ != view_.version()) follow();
  if (topology_.lacks_master() || retries_.any_waits()) view_.want_news();
  retries_.replay(Retries::Occasion::time);
}

void Follower::close() {
  if (watch_ != nullptr) watch_->close();
}

}  // namespace larder::redis
