#pragma once

#include "backend/redis/flights.h"
#include "backend/redis/open_writes.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// The reads that L1 may answer, and its fills from those it could not.
///
/// A fill is `PTTL k` and the read itself, back to back on the connection that hears of changes. It is stored
/// only if the key's epoch has not moved since it was sent and the connection's word still counts.
///
/// Thread: one worker; the keyspace is shared.
class Reads {
 public:
  Reads(const NodeContext& context, Topology& topology, const OpenWrites& open_writes)
      : context_(context), keyspace_(context.keyspace), topology_(topology), open_writes_(open_writes) {}

  /// True for commands that execute() takes.
  [[nodiscard]] bool serves(const Request& request) const noexcept {
    return request.spec == get_ || request.spec == mget_;
  }

  /// Answers from L1, or joins or starts a read of Redis.
  [[nodiscard]] Step execute(const Request& request);

  /// A reply for an entry of kind fill or many_fill.
  void on_reply(const Lane& lane, const InFlight& entry, const Reply& reply);

  /// Tells those who wait for the entry that no reply will come; a late one is still taken.
  void fail(const InFlight& entry, ByteView error);

  /// No reply will come any more: the entry is forgotten.
  void forget(const InFlight& entry);

 private:
  [[nodiscard]] Step get(const Request& request);
  [[nodiscard]] Step mget(const Request& request);
  [[nodiscard]] bool may_use_l1(const Request& request, const KeyRef& key) const noexcept;
  [[nodiscard]] Step fill(const Request& request, const KeyRef& key);
  [[nodiscard]] Step fill_many(const Request& request);
  static void join(Flight& flight, const Request& request, const Lane& lane);
  [[nodiscard]] FillTerms terms_of(const Lane& lane, const Request& request) const noexcept;
  [[nodiscard]] bool may_fill(const Lane& lane) const noexcept;
  [[nodiscard]] UnixMs expiry_of(const Lane& lane, UnixMs sent_ms, std::int64_t ttl_ms) const noexcept;
  void finish_fill(const Lane& lane, std::uint32_t index, const Reply& reply);
  void finish_many(const Lane& lane, const InFlight& entry, const Reply& reply);
  void store(const Lane& lane, const KeyRef& key, ByteView value, bool absent, std::int64_t ttl_ms,
             Epoch noted, const FillTerms& terms);
  void store_many(const Lane& lane, const ManyFlight& flight, ByteView reply);

  const NodeContext& context_;
  Keyspace& keyspace_;
  Topology& topology_;
  const OpenWrites& open_writes_;
  const CommandSpec* const get_ = find_command("get");
  const CommandSpec* const mget_ = find_command("mget");
  Flights flights_;
  Pool<ManyFlight> many_;
};

}  // namespace larder::redis
