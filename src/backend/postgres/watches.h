#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"

namespace larder::postgres {

/// What the clients of a worker have under WATCH: of each key the version of its row.
///
/// Invariant: a caller is known here only while `holds.watching`. Thread: one worker.
class Watches {
 public:
  /// A key as its client has begun to watch it.
  struct Key {
    int db;
    Bytes bytes;
    std::uint32_t seen = 0;  ///< the row's xmin; 0: there is none
    bool was_live = false;   ///< there was a row, and it had not expired
  };

  /// A WATCH that waits for PostgreSQL: the caller of that command, in place of the client.
  class Request final : public Caller {
   public:
    Request(Watches& watches, Caller& client, std::span<const KeyRef> keys);

    /// The row of one of the keys.
    void see(std::size_t key, std::uint32_t xmin, bool is_live) noexcept;

    // --- Caller ---
    Ticket defer() override { return ticket_; }
    ReplyWriter reply_to(Ticket) override { return client_.reply_to(ticket_); }
    void finish(Ticket) override;  ///< ends this
    [[nodiscard]] std::size_t pending() const noexcept override { return 1; }

   private:
    Watches& watches_;
    Caller& client_;
    const Ticket ticket_;
    std::vector<Key> keys_;
    bool has_seen_ = false;
  };

  /// The caller of a WATCH. Life: until its finish().
  [[nodiscard]] Request& begin(Caller& client, std::span<const KeyRef> keys);

  void drop(Caller& caller);

  /// What the caller watches, and watches no longer.
  [[nodiscard]] std::vector<Key> take(Caller& caller);

 private:
  std::unordered_map<const Caller*, std::vector<Key>> by_caller_;
  std::unordered_map<const Request*, std::unique_ptr<Request>> requests_;
};

}  // namespace larder::postgres
