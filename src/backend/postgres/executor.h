#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>

#include "backend/postgres/batch.h"
#include "backend/postgres/connection.h"
#include "backend/postgres/notification.h"
#include "backend/postgres/shared.h"

namespace larder::postgres {

class Lanes;

/// One lane of a worker: while a batch is in flight it collects the next.
///
/// A batch is loaded (the keys whose rows its commands need), its handlers run in order of arrival on the
/// copies, and what they changed is stored in one transaction that fails if a row is no longer the one that
/// was loaded. Blind writes (SET, DEL) skip the loading. Replies leave when the transaction has committed.
///
/// Invariant: commands of this lane take effect in order of arrival.
/// Errors:    a conflict runs the batch again, from the second time on with locked rows; work that PostgreSQL
///            refuses is halved until the one command that is to blame gets the error.
/// Thread:    one worker.
class Executor {
 public:
  Executor(boost::asio::io_context& io, Poller& poller, Shared& shared, Lanes& siblings);

  /// Errors: SqlError.
  void open_now() { connection_.open_now(); }

  /// Takes the command into the next batch; the reply comes through the ticket.
  void add(const Request& request, UnixMs now_ms, std::span<const KeyRef> keys);

  /// Takes a transaction: a batch of its own, which is run as a whole or not at all.
  void add_transaction(const Request& exec, UnixMs now_ms, std::unique_ptr<Transaction> transaction);

  /// Takes a WATCH, whose caller is a Watches::Request.
  void add_watch(const Request& request, UnixMs now_ms, std::span<const KeyRef> keys);

  /// Is one of the keys named by a command that was not answered yet?
  [[nodiscard]] bool names(std::span<const KeyRef> keys) const noexcept;

  /// Commands that were not answered yet.
  [[nodiscard]] std::size_t commands() const noexcept;

  /// The next batch leaves when all that is there to be read now has been read, if it is worth it.
  void schedule();

  [[nodiscard]] bool is_running() const noexcept { return running_ != nullptr; }
  [[nodiscard]] bool is_open() const noexcept { return connection_.is_open(); }
  [[nodiscard]] bool idle() const noexcept { return running_ == nullptr && waiting_.empty(); }
  void check_deadline(std::int64_t now_us, std::int64_t allowed_us) {
    connection_.check_deadline(now_us, allowed_us);
  }

 private:
  using BatchPtr = std::unique_ptr<Batch>;

  Batch::Command& enlist(Batch& batch, const Request& request, UnixMs now_ms, std::span<const KeyRef> keys);
  Batch& batch_for(std::size_t bytes);

  // One run, step by step.
  void start_next();
  void load();
  void load_large();
  std::int64_t take_rows(Outcome& outcome);
  void run();
  bool run_handlers();
  void store();
  void take_removed(Outcome& outcome);
  [[nodiscard]] bool is_touched();
  void see_rows(const Batch::Command& command);
  void answer();

  // When it fails.
  void fail(const Failure& failure);
  void retry();
  void split();
  void refuse(Batch& batch, ByteView error);
  void void_written(Batch& batch);
  void abort();
  void end_transaction();

  void send_loads(Statement statement);
  void send_store(int db, std::span<Slot* const> slots);
  void send_upsert(int db, std::span<Slot* const> slots);
  void send_remove(int db, std::span<Slot* const> slots);
  void send_mixed(int db, std::span<Slot* const> slots);
  void add_keys(std::span<Slot* const> slots);
  void add_values(std::span<Slot* const> slots);
  void add_expiries(std::span<Slot* const> slots);
  void add_tags(std::span<Slot* const> slots);
  void send_notifications(std::span<Slot* const> slots);
  [[nodiscard]] std::int64_t count_live(const Batch::Command& command);
  void note_authors();
  void publish(Slot& slot);
  void release();
  BatchPtr new_batch();
  [[nodiscard]] std::string unreachable() const;
  [[nodiscard]] UnixMs database_now() const;

  Shared& shared_;
  Poller& poller_;
  Lanes& siblings_;
  Connection connection_;
  std::deque<BatchPtr> waiting_;
  BatchPtr running_;
  BatchPtr spare_;
  Bytes replies_;
  Params params_;
  std::vector<int> databases_;  ///< of the statements in flight, in order
  std::int64_t started_us_ = 0;
  int attempts_ = 0;
  bool scheduled_ = false;
  bool in_transaction_ = false;
};

}  // namespace larder::postgres
