#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/postgres/watches.h"

namespace larder::postgres {

/// A transaction in which commands about all keys stand between the others: they and what is between them are
/// run one after the other. The caller of each part, and the whole of their replies.
///
/// Thread: one worker.
class PartedTransaction final : public Caller {
 public:
  /// Runs a part, whose caller this is: done, or pending until finish().
  using Run = std::function<Step(const Request&)>;

  /// `ended` frees this.
  PartedTransaction(const Request& exec, Run run, std::function<void()> ended);

  void start() { run_rest(); }

  // --- Caller, for the parts ---
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {part_reply_, protocol_}; }
  void finish(Ticket) override;
  [[nodiscard]] std::size_t pending() const noexcept override { return 0; }

 private:
  struct Queued {
    const CommandSpec& spec;
    Bytes raw;  ///< as the client has sent it
  };

  void run_rest();
  Step run_part();
  [[nodiscard]] Bytes take_block();
  bool take_reply();
  void end();

  const UnixMs now_ms_;
  Caller& client_;
  const Ticket ticket_;
  const CommandSpec* const exec_;
  Run run_;
  std::function<void()> ended_;
  std::vector<Queued> queued_;
  std::size_t position_ = 0;  ///< of those that have been run
  bool part_is_block_ = false;
  bool has_begun_ = false;
  bool all_heard_of_ = true;
  Bytes part_reply_;
  Bytes replies_;  ///< of all parts; of one that was not run, that alone
};

/// Whether a queued command is a part of its own.
[[nodiscard]] inline bool is_about_all_keys(const CommandSpec& spec) noexcept {
  return spec.runner == Runner::keyspace;
}

}  // namespace larder::postgres
