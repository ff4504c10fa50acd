#pragma once

#include <cstdint>
#include <deque>

#include <boost/unordered/unordered_flat_set.hpp>

#include "backend/redis/flights.h"

namespace larder::redis {

/// A request that was forwarded, kept until it is answered: in a cluster it may have to go elsewhere, and a
/// read is sent again when its connection is lost.
struct Errand {
  Bytes raw;  ///< in RESP form
  const CommandSpec* spec = nullptr;
  Caller* caller = nullptr;
  Ticket ticket = 0;
  Protocol protocol = Protocol::resp2;  ///< that the reply is for
  int db = 0;
  const CachedRead* read = nullptr;  ///< for L1, which has lost interest; its lane speaks RESP3
  int hops = 0;                      ///< how often it was sent on
  bool calls_known_script =
      false;          ///< that Larder had when it was sent, and its client has waited for it since
  bool told = false;  ///< its client was, as it took too long
  std::uint32_t directory_epoch = 0;  ///< of a TagDirectory that it relied on; 0: of none
  std::int64_t deadline_us = 0;       ///< no new attempt after that; 0: it has gone well so far
  std::int64_t retry_us = 0;          ///< the next attempt, unless the topology changes before
  Bytes problem;                      ///< why it waits, for the client
};

/// The client of a kept request as it was when it asked: what it has said since, a SELECT perhaps, and the
/// order of what it sends now are not about that request.
///
/// Life: shorter than the errand.
class ClientAsItWas final : public Caller {
 public:
  explicit ClientAsItWas(const Errand& kept) : client_(*kept.caller), ticket_(kept.ticket) {
    db_ = kept.db;
    protocol_ = kept.protocol;
  }

  Ticket defer() override { return ticket_; }
  ReplyWriter reply_to(Ticket ticket) override { return client_.reply_to(ticket); }
  void finish(Ticket ticket) override { client_.finish(ticket); }
  [[nodiscard]] std::size_t pending() const noexcept override { return client_.pending(); }

 private:
  Caller& client_;
  const Ticket ticket_;
};

/// What `lane` of a caller is while one of its requests waits for its next attempt: no lane keeps order with
/// it, so that the caller's next ones wait too.
inline constexpr char kWaits = 0;

/// The errands of a worker: under way, or waiting for their next attempt.
///
/// Invariant: what waits is answered or sent again in the order in which it began to wait. Thread: one
/// worker.
class Errands {
 public:
  /// Keeps a request whose reply goes to `ticket`. Shape: never 0.
  [[nodiscard]] std::uint32_t keep(const Request& request, Ticket ticket) {
    const std::uint32_t index = pool_.take();
    Errand& errand = pool_[index];
    errand.raw = request.raw;
    errand.spec = request.spec;
    errand.caller = &request.caller;
    errand.ticket = ticket;
    errand.protocol = request.caller.protocol();
    errand.db = request.caller.db();
    errand.read = nullptr;
    errand.hops = 0;
    errand.calls_known_script = errand.told = false;
    errand.directory_epoch = 0;
    errand.deadline_us = errand.retry_us = 0;
    return index + 1;
  }

  /// The same request on behalf of somebody else.
  [[nodiscard]] std::uint32_t copy(std::uint32_t from, Waiter waiter, Protocol protocol) {
    const std::uint32_t index = pool_.take();
    const Errand& original = (*this)[from];
    pool_[index] = {.raw = original.raw,
                    .spec = original.spec,
                    .caller = waiter.caller,
                    .ticket = waiter.ticket,
                    .protocol = protocol,
                    .db = original.db,
                    .read = original.read,
                    .problem = {}};
    return index + 1;
  }

  [[nodiscard]] Errand& operator[](std::uint32_t errand) noexcept { return pool_[errand - 1]; }

  /// It is answered. 0 is nothing to forget.
  void forget(std::uint32_t errand) {
    if (errand == 0) return;
    pool_[errand - 1].caller = nullptr;
    if (pool_[errand - 1].raw.capacity() > kKeptRequest) Bytes().swap(pool_[errand - 1].raw);
    pool_.give_back(errand - 1);
  }

  /// Shows the errands of a client's own requests that it still waits for.
  template <class Visit>
  void for_each_of(const Caller& client, Visit visit) {
    pool_.for_each([&](const Errand& errand) {
      if (errand.caller == &client && !errand.told) visit(errand);
    });
  }

  /// It waits for its next attempt.
  void park(std::uint32_t errand) {
    parked_bytes_ += (*this)[errand].raw.size();
    parked_.push_back(errand);
  }

  /// Those that wait, to be parked again or not; nothing waits any more.
  [[nodiscard]] std::deque<std::uint32_t> take_parked() noexcept {
    parked_bytes_ = 0;
    return std::exchange(parked_, {});
  }

  /// With a connection a write of the client was lost: whether it took effect is unknown, so a read that the
  /// client sent before it must not be repeated.
  void note_lost_write(Caller& caller) { lost_writers_.insert(&caller.client()); }
  void forget_lost_writes() noexcept { lost_writers_.clear(); }
  [[nodiscard]] bool has_lost_write(Caller& caller) const noexcept {
    return lost_writers_.contains(&caller.client());
  }

  [[nodiscard]] bool any_parked() const noexcept { return !parked_.empty(); }
  [[nodiscard]] std::size_t parked_bytes() const noexcept { return parked_bytes_; }

 private:
  static constexpr std::size_t kKeptRequest = 4096;

  Pool<Errand> pool_;
  std::deque<std::uint32_t> parked_;
  std::size_t parked_bytes_ = 0;
  boost::unordered_flat_set<const Caller*> lost_writers_;
};

}  // namespace larder::redis
