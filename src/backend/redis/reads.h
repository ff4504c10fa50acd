#pragma once

#include "backend/redis/errands.h"
#include "backend/redis/flights.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/l1_policy.h"
#include "backend/redis/open_writes.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// The reads that L1 may answer, and its fills from those it could not.
///
/// A fill is `PTTL k` and the read itself, back to back on the connection that hears of changes. It is stored
/// only if the key's epoch has not moved since it was sent and the connection's word still counts. What GET
/// brings is stored as the value, which other reads of strings are answered from; what other commands bring,
/// as the answer to the question they were.
///
/// Thread: one worker; the keyspace is shared.
class Reads {
 public:
  Reads(const NodeContext& context, Topology& topology, const OpenWrites& open_writes, Errands& errands)
      : context_(context),
        keyspace_(context.keyspace),
        topology_(topology),
        open_writes_(open_writes),
        policy_(context.options.l1),
        errands_(errands) {}

  /// True for requests that execute() takes.
  [[nodiscard]] bool serves(const Request& request, const Route& route);

  /// True when L1 had the answer, which was appended.
  [[nodiscard]] bool answers(const Request& request, const Route& route);

  /// Answers from L1, or joins or starts a read of Redis.
  [[nodiscard]] Step execute(const Request& request, const Route& route);

  /// A reply for an entry of kind fill or many_fill.
  void on_reply(const Lane& lane, const InFlight& entry, const Reply& reply);

  /// Tells those who wait for the entry that no reply will come; a late one is still taken.
  void fail(const InFlight& entry, ByteView error);

  /// Those who wait for an entry of kind fill, which is forgotten: they are served in another way.
  [[nodiscard]] std::vector<Waiter> take_waiters(const InFlight& entry);

  /// No reply will come any more: the entry is forgotten.
  void forget(const InFlight& entry);

 private:
  [[nodiscard]] Step get(const Request& request);
  [[nodiscard]] Step ask(const Request& request, const CachedRead& read);
  [[nodiscard]] Step mget(const Request& request);
  [[nodiscard]] bool is_allowed(const Request& request, const Route& route);
  [[nodiscard]] bool observe(const Request& request, const Route& route);
  void put_question(const Request& request, const CachedRead* read);
  [[nodiscard]] bool may_use_l1(const Request& request, const KeyRef& key) const noexcept;
  /// Which of L1's records may answer.
  enum class Trust : std::uint8_t { current, stale_too };

  [[nodiscard]] bool is_heard_of(Trust trust) const noexcept;
  [[nodiscard]] Lookup look_up(const KeyRef& key, UnixMs now_ms, Trust trust,
                               FunctionRef<void(const Item&)> visit);
  [[nodiscard]] bool answer_from_l1(const Request& request, const KeyRef& key, Trust trust);
  [[nodiscard]] bool answer_many_from_l1(const Request& request, Trust trust);
  [[nodiscard]] bool has_lost(const Lane& lane) const noexcept;
  [[nodiscard]] Step fill(const Request& request, const KeyRef& key, const CachedRead* read);
  [[nodiscard]] Step fill_many(const Request& request);
  static void join(Flight& flight, const Request& request, const Lane& lane);
  [[nodiscard]] FillTerms terms_of(const Lane& lane, const Request& request) const noexcept;
  void finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply);
  [[nodiscard]] ByteView in_their_protocol(const Flight& flight, const Reply& reply);
  void finish_many(const Lane& lane, const InFlight& entry, const Reply& reply);
  void store(const Lane& lane, const Flight& flight, const Reply& reply, ByteView shown);
  void store_answer(const Lane& lane, const Flight& flight, ByteView shown);
  void store_value(const Lane& lane, const KeyRef& key, ByteView value, bool absent, std::int64_t ttl_ms,
                   Epoch noted, const FillTerms& terms);
  [[nodiscard]] std::optional<UnixMs> believed_until(const Lane& lane, UnixMs sent_ms,
                                                     std::int64_t ttl_ms) const;
  void store_many(const Lane& lane, const ManyFlight& flight, ByteView reply);

  const NodeContext& context_;
  Keyspace& keyspace_;
  Topology& topology_;
  const OpenWrites& open_writes_;
  const L1Policy policy_;
  Errands& errands_;
  const CommandSpec* const get_ = find_command("get");
  const CommandSpec* const mget_ = find_command("mget");
  Flights flights_;
  Pool<ManyFlight> many_;
  Bytes question_;   ///< of the request at hand; empty for GET
  Bytes converted_;  ///< room for a reply as RESP2
};

}  // namespace larder::redis
