#include "backend/postgres/parted_transaction.h"

#include "backend/block.h"

namespace larder::postgres {
namespace {

bool is_of_block(const CommandSpec& spec) noexcept {
  return spec.name != "select" && !is_about_all_keys(spec);
}

}  // namespace

PartedTransaction::PartedTransaction(const Request& exec, Run run, std::function<void()> ended)
    : now_ms_(exec.now_ms),
      client_(exec.caller),
      ticket_(exec.caller.defer()),
      exec_(exec.spec),
      run_(std::move(run)),
      ended_(std::move(ended)) {
  stand_in_for(exec.caller);
  for_each_queued(exec, [this](const Request& queued) {
    queued_.push_back({*queued.spec, Bytes(queued.raw)});
  });
}

/// Until one answers later.
void PartedTransaction::run_rest() {
  do {
    if (has_begun_ && position_ == queued_.size()) return end();
    if (run_part() != Step::done) return;
  } while (take_reply());
  end();
}

/// The first part is a block, be it empty: what is watched is looked at with it.
Step PartedTransaction::run_part() {
  part_reply_.clear();
  ReplyWriter reply(part_reply_, protocol_);
  part_is_block_ = !std::exchange(has_begun_, true) || is_of_block(queued_[position_].spec);
  if (!part_is_block_) {
    const auto& [spec, raw] = queued_[position_++];
    RequestParser parser;
    static_cast<void>(parser.parse(raw, {.max_bulk_bytes = INT64_MAX}));
    if (is_about_all_keys(spec)) return run_({&spec, parser.argv(), raw, now_ms_, *this, reply});
    Call select{parser.argv(), db_, now_ms_, reply};
    run_queued_select(select, db_);
    return Step::done;
  }
  const Bytes block = take_block();
  return run_({exec_, {}, block, now_ms_, *this, reply});
}

/// What stands before the next command that is no part of a block.
Bytes PartedTransaction::take_block() {
  Bytes block(kBlockBegin);
  for (; position_ < queued_.size() && is_of_block(queued_[position_].spec); ++position_)
    block.append(queued_[position_].raw);
  return block.append(kBlockEnd);
}

/// False: a block was not run, so nothing behind it is.
bool PartedTransaction::take_reply() {
  if (!part_is_block_) {
    replies_.append(part_reply_);
    return true;
  }
  const bool was_run = part_reply_.starts_with('*') && !part_reply_.starts_with("*-");
  if (was_run)
    replies_.append(part_reply_, part_reply_.find('\n') + 1);
  else
    replies_ = part_reply_;
  if (!was_run) queued_.clear();
  return was_run;
}

void PartedTransaction::finish(Ticket) {
  all_heard_of_ = all_heard_of_ && (!part_is_block_ || is_heard_of);
  take_reply() ? run_rest() : end();
}

void PartedTransaction::end() {
  ReplyWriter reply = client_.reply_to(ticket_);
  if (!queued_.empty()) reply.begin_array(queued_.size());
  reply.raw(replies_);
  client_.is_heard_of = all_heard_of_;
  // The client may go on at once, with a transaction that takes the place of this one.
  Caller& client = client_;
  const Ticket ticket = ticket_;
  const std::function<void()> ended = std::move(ended_);
  ended();
  client.finish(ticket);
}

}  // namespace larder::postgres
