#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "backend/backend.h"
#include "backend/postgres/lanes.h"
#include "backend/postgres/parted_transaction.h"
#include "backend/postgres/watches.h"
#include "backend/postgres/whole_keyspace.h"

namespace larder::postgres {

/// A worker's way to PostgreSQL: the L1 first, then lanes for reads and lanes for writes.
///
/// Invariant: commands of one caller on one key take effect in order. Its reads stay in one lane while any is
/// open. A
///            read or write goes to the write lane that names its key. A write waits (Step::hold) while the
///            caller waits for a read of its key, and so does what two write lanes name.
class PostgresBackend final : public Backend {
 public:
  /// Errors: SqlError when the database cannot be reached.
  PostgresBackend(boost::asio::io_context& io, Poller& poller, Shared& shared);

  Step execute(const Request& request) override;
  [[nodiscard]] bool hears_everything() const noexcept override { return shared_.keyspace.enabled(); }
  [[nodiscard]] bool has_transactions() const noexcept override { return true; }
  void append_read_keys(const Request& request, std::vector<KeyRef>& keys) override;
  void unwatch(Caller& caller) override { watches_.drop(caller); }
  void abandon(Caller& caller) override { watches_.drop(caller); }
  void drain(std::function<void()> done) override;

 private:
  Step watch(const Request& request, UnixMs now_ms);
  Step run_whole(const Request& request, UnixMs now_ms);
  Step run_transaction(const Request& exec, UnixMs now_ms);
  Step run_block(const Request& exec, UnixMs now_ms);
  Step run_in_parts(const Request& exec, UnixMs now_ms);
  Step read(const Request& request, UnixMs now_ms);
  Step write(const Request& request, UnixMs now_ms);
  bool answer_from_l1(const Request& request, UnixMs now_ms);
  bool run_on_l1(const Request& request, UnixMs now_ms);
  Step run_without_keys(const Request& request, UnixMs now_ms);
  Step unreachable(const Request& request);
  [[nodiscard]] std::uint64_t epochs() const noexcept;
  void arm_timer();
  void tick();

  Shared& shared_;
  Lanes reads_;
  Lanes writes_;
  WholeKeyspace whole_;
  Watches watches_;
  std::unordered_map<const Caller*, std::unique_ptr<PartedTransaction>> parted_;
  boost::asio::steady_timer timer_;
  std::function<void()> drained_;
  std::vector<KeyRef> keys_;  ///< of the command being run; kept for its allocation
  const CommandSpec* const get_;
};

}  // namespace larder::postgres
