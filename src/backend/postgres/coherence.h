#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "backend/postgres/options.h"
#include "backend/postgres/schema.h"
#include "backend/postgres/session.h"
#include "base/log.h"
#include "keyspace/keyspace.h"

namespace larder::postgres {

/// Hears of every change of the schema by another Larder or by plain SQL, and voids the L1 accordingly.
///
/// Invariant: usable() is true only while a LISTEN connection is known to work, this Larder is registered in
///            `peers`, and no transaction is left open that began before the registration could be seen.
/// Thread:    listens on a thread of its own; everything else from any thread.
class Coherence {
 public:
  Coherence(const Options& options, Keyspace& keyspace);
  ~Coherence();
  Coherence(const Coherence&) = delete;
  Coherence& operator=(const Coherence&) = delete;

  void start();
  void stop();

  /// May the L1 be asked and filled?
  [[nodiscard]] bool usable() const noexcept { return usable_.load(std::memory_order_acquire); }

  /// What a fill must name; nothing while the L1 may not be filled.
  [[nodiscard]] std::optional<std::uint32_t> generation() const noexcept;
  [[nodiscard]] SourceId source() const noexcept { return source_; }

  /// A lost connection may hide a write that still commits: no L1 until settle() was called as often.
  void doubt() noexcept;
  void settle() noexcept;

  /// This Larder's number in `peers` and at the head of its notifications.
  [[nodiscard]] std::int64_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& channel() const noexcept { return channel_; }
  /// Larders on this schema besides this one, when last looked.
  [[nodiscard]] int peers() const noexcept { return peers_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string state() const;

  /// Acts on one notification: `<who> <db>:<hex>[,<db>:<hex>…]` or `<who> *`, where who is a Larder's id or
  /// `sql`.
  void hear(ByteView payload);

 private:
  enum class State : std::uint8_t { starting, waiting, listening, deaf };

  void run();
  void join(BlockingSession& session);
  void self_test(BlockingSession& session);
  void await_older_transactions(BlockingSession& session);
  void listen(BlockingSession& session);
  void check_peers(BlockingSession& session);
  void wait_for(int fd, std::chrono::milliseconds time);
  bool take_notifications(PGconn* connection, ByteView awaited = {});
  void update_usable() noexcept;

  const Options& options_;
  Keyspace& keyspace_;
  const SourceId source_;
  const std::int64_t id_;
  const std::string channel_;

  std::mutex mutex_;         // lets one update_usable() after the other
  bool was_usable_ = false;  // guarded by mutex_
  std::atomic<bool> usable_{false};
  std::atomic<bool> hears_{false};
  std::atomic<int> doubts_{0};
  std::atomic<int> peers_{0};
  std::atomic<State> state_{State::starting};
  std::atomic<bool> stopping_{false};
  log::Outage outage_;  ///< of the listening
  int wake_fd_;
  std::thread thread_;
};

}  // namespace larder::postgres
