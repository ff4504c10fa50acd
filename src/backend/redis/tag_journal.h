#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// The invalidations that somebody else must finish should this Larder end: those that take long, and those
/// that were answered before they were done.
///
/// They are in Redis, those of all databases in one sorted set. A member is an invalidation in words (see
/// encode() below), its score the time, in Redis' milliseconds, until which its Larder is taken to live. Each
/// Larder moves its own ones on; what is overdue whoever sees it first makes its own, and leaves it among the
/// pending.
///
/// What is finished twice, as its Larder was taken for dead, deletes again: keys that were written under the
/// tag meanwhile.
///
/// Life: it is a caller, so it lives until it is quiet. Thread: one worker.
class TagJournal final : public OwnCaller {
 public:
  /// While a copy of it lives, the invalidation is in the journal as one of this Larder's. Thread: any.
  using Hold = std::shared_ptr<const void>;
  using Done = std::function<void(const Hold& hold, ByteView error)>;

  /// `takes_over`: what is overdue, of all Larders; one worker of a process does.
  TagJournal(TagState& state, const Topology& topology, TagHost& host, int db, bool takes_over);

  /// Enters an invalidation. If that fails it is tried again while it is held. `done`, if there is one, is
  /// told when Redis has it, or why that is not sure; perhaps at once.
  Hold enter(int db, const TagQuery& query, Done done = nullptr);

  /// Whether Redis has said that it has it.
  [[nodiscard]] bool has(const Hold& hold) const;

  /// Sends what is due.
  void tick(std::int64_t now_us);
  /// From now on nothing is taken over.
  void drain() noexcept { takes_over_ = false; }
  void finish(Ticket) override;

  /// While sweeps run what they hold may still be to be removed. Where that has failed another Larder will
  /// see to it.
  [[nodiscard]] bool is_quiet() const noexcept;

 private:
  struct Entry {
    Bytes member;
    std::weak_ptr<const void> hold;  ///< expired: it is to be removed
    std::int64_t due_us = 0;         ///< when it must be moved on
    bool may_exist = false;          ///< in Redis
    std::int64_t stays_us = 0;       ///< since then it could not be removed
    enum class Sent : std::uint8_t { nowhere, on, away } sent = Sent::nowhere;
    Done done{};
    Hold until_told{};  ///< for `done`
  };

  [[nodiscard]] Hold add(Bytes member);
  [[nodiscard]] bool send(std::int64_t now_us);
  void take();
  static void give_up(Entry& entry, std::int64_t now_us);
  void take_over(ByteView member, std::int64_t now_us);

  TagState& state_;
  const Topology& topology_;
  TagHost& host_;
  bool takes_over_;
  std::vector<Entry> entries_;
  bool busy_ = false;
  bool looked_ = false, more_overdue_ = false;
  std::int64_t look_us_ = 0;   ///< for what is overdue, not before
  std::int64_t pause_us_ = 0;  ///< after an error nothing is sent before
};

/// An invalidation as the journal has it: an array of bulk strings, of which the first makes it like no
/// other; then the database, and what follows the name of TAGINVALIDATE.
struct JournalEntry {
  std::string id;
  int db = 0;
  TagQuery query;
};
[[nodiscard]] Bytes encode(const JournalEntry& entry);
/// Errors: those of parse_taginvalidate(), syntax for what is no such array.
[[nodiscard]] Result<JournalEntry> decode_journal_entry(ByteView member);

}  // namespace larder::redis
