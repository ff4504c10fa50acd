#include "backend/redis/retries.h"

#include <boost/unordered/unordered_flat_set.hpp>
#include <fmt/format.h>

#include "backend/redis/answer.h"
#include "backend/redis/handshake.h"
#include "backend/redis/slot_map.h"
#include "base/clock.h"

namespace larder::redis {
namespace {

constexpr std::int64_t kPauseUs = 50'000;         // before another attempt when nothing has changed
constexpr std::int64_t kTryAgainPauseUs = 5'000;  // a key on its way takes this long or less
constexpr ByteView kAsking = "*1\r\n$6\r\nASKING\r\n";

/// An error reply without its `-` and its line end.
ByteView text_of(ByteView error_reply) noexcept {
  return error_reply.substr(1, error_reply.size() - 3);
}

/// What a replica says that has lost its master, or comes up.
bool cannot_read_now(ByteView error) noexcept {
  return error.starts_with("-MASTERDOWN ") || error.starts_with("-LOADING ");
}

}  // namespace

bool Retries::redirects(Lane& lane, const InFlight& entry, const Reply& reply) {
  Redirect redirect = parse_redirect(reply.bytes, lane.host());
  if (topology_.is_single()) return false;
  // The scripts of tags run where a slot is as a whole.
  if (redirect.kind == Redirect::Kind::ask && entry.scripted) redirect.kind = Redirect::Kind::try_again;
  if (lane.purpose().is_reader && cannot_read_now(reply.bytes)) {
    for_each_errand(entry, [&](std::uint32_t errand) { ask_master(errand, reply.bytes); });
    return true;
  }
  // Behind Sentinels the other ones are words of a script.
  if (!topology_.is_cluster() && redirect.kind != Redirect::Kind::read_only) return false;
  switch (redirect.kind) {
    case Redirect::Kind::none:
      return false;
    case Redirect::Kind::moved:
      context_.statistics.moved.add();
      topology_.move_slot(redirect.slot, redirect.target);
      refresher_.hint();
      break;
    case Redirect::Kind::ask:
      context_.statistics.ask.add();
      break;
    case Redirect::Kind::cluster_down:
    case Redirect::Kind::read_only:
      refresher_.hurry();
      break;
    case Redirect::Kind::try_again:
      break;
  }
  for_each_errand(entry, [&](std::uint32_t errand) { follow(errand, redirect, lane, reply.bytes); });
  // What a replica says is not believed, and a new connection will be asked what it leads to.
  if (redirect.kind == Redirect::Kind::read_only) lane.cut("it has become a replica");
  return true;
}

bool Retries::teaches_script(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (entry.expired || !reply.bytes.starts_with("-NOSCRIPT ") || !lane.refusal().empty()) return false;
  Errand& kept = errands_[entry.errand];
  // What the client has sent behind it may have brought the script since; Redis' answer stands.
  if (!kept.calls_known_script || ++kept.hops > kMostHops) return false;
  return with_request(kept, [&](const Request& request, const Route& route) {
    const std::optional<Bytes> body = scripts_.find(request.argv[1]);
    if (!body) return false;
    context_.statistics.retries.add();
    append_request(lane.output(), {"SCRIPT", "LOAD", *body});
    sender_.send_kept(request, route, lane, entry.errand, 2);
    return true;
  });
}

bool Retries::sends_again(Lane& lane, const InFlight& entry) {
  if (entry.errand == 0 || entry.expired || !lane.refusal().empty()) return false;
  return with_request(errands_[entry.errand], [&](const Request& request, const Route& route) {
    context_.statistics.retries.add();
    sender_.send_kept(request, route, lane, entry.errand, 1);
    return true;
  });
}

/// Hands out what a request was for; nobody waits for it behind its entry any more.
template <class Visit>
void Retries::for_each_errand(const InFlight& entry, Visit visit) {
  if (entry.kind == InFlight::Kind::fill) {
    for (const Waiter& waiter : reads_.take_waiters(entry))
      visit(errands_.copy(entry.errand, waiter, waiter.caller->reply_to(waiter.ticket).protocol()));
    return errands_.forget(entry.errand);
  }
  if (entry.kind == InFlight::Kind::many_fill) reads_.forget(entry);
  if (entry.expired) return errands_.forget(entry.errand);
  visit(entry.errand);
}

/// A replica does not know.
void Retries::ask_master(std::uint32_t errand, ByteView reply) {
  if (!try_again(errand, std::nullopt, Hop::plain)) park(errand, kPauseUs, text_of(reply));
}

void Retries::follow(std::uint32_t errand, const Redirect& redirect, const Lane& from, ByteView reply) {
  const bool moves = redirect.kind == Redirect::Kind::moved || redirect.kind == Redirect::Kind::ask;
  if (!moves) {
    // What the client has sent after a write must not take effect before it.
    const bool others_wait = is_write(errands_[errand]) && errands_[errand].caller->pending() > 1;
    const bool may_wait = redirect.kind == Redirect::Kind::try_again && may_come_last(errands_[errand]);
    if (others_wait && !may_wait) return answer(errand, text_of(reply));
    return park(errand, redirect.kind == Redirect::Kind::try_again ? kTryAgainPauseUs : kPauseUs,
                text_of(reply));
  }
  Node& target = topology_.node_at(redirect.target);
  const bool in_circles = ++errands_[errand].hops > kMostHops || target.label() == from.label();
  const Hop hop = redirect.kind == Redirect::Kind::ask ? Hop::asking : Hop::plain;
  if (in_circles || !try_again(errand, target, hop))
    park(errand, kPauseUs,
         fmt::format("ERR the cluster sends the request round in circles: {}", text_of(reply)));
}

void Retries::park(std::uint32_t errand, std::int64_t delay_us, ByteView problem) {
  Errand& kept = errands_[errand];
  const std::int64_t now_us = steady_now_us();
  const std::int64_t patience_us = std::chrono::microseconds(context_.options.command_timeout).count();
  if (kept.deadline_us == 0) kept.deadline_us = now_us + patience_us;
  if (now_us >= kept.deadline_us || errands_.parked_bytes() > context_.options.most_in_flight_bytes)
    return answer(errand, problem);
  kept.problem = problem;
  kept.retry_us = now_us + delay_us;
  kept.hops = 0;
  errands_.park(errand);
  // Until it is answered its client goes on with nothing, and reads nothing from L1 that is older.
  kept.caller->client().lane = &kWaits;
}

void Retries::answer(std::uint32_t errand, ByteView problem) {
  answer_error({errands_[errand].caller, errands_[errand].ticket}, problem);
  errands_.forget(errand);
}

/// Sends a kept request to `target`, or to the node of its keys; false when that takes none at present.
bool Retries::try_again(std::uint32_t errand, std::optional<std::reference_wrapper<Node>> target, Hop hop) {
  const Errand& kept = errands_[errand];
  return with_request(kept, [&](const Request& request, const Route& route) {
    Node& node = target ? target->get() : topology_.node_for(request, route);
    // The way it went first: what went behind it must stay behind it.
    Lane& lane = kept.read != nullptr
                     ? node.lane(Protocol::resp3, kept.db)
                     : node.lane_for(route, kept.protocol, kept.db, kept.caller->acts_as.get());
    if (!lane.refusal().empty()) return false;
    context_.statistics.retries.add();
    if (hop == Hop::asking) lane.output().append(kAsking);
    sender_.send_kept(request, route, lane, errand, hop == Hop::asking ? 2 : 1);
    return true;
  });
}

bool Retries::is_write(const Errand& kept) {
  return with_request(kept, [](const Request&, const Route& route) { return route.effect != Effect::none; });
}

/// Whether all that the client waits for, and that may take effect before this, concerns other keys. It sends
/// nothing more until that is answered.
bool Retries::may_come_last(const Errand& kept) {
  constexpr std::size_t kMostLookedAt = 512;
  if (kept.deadline_us != 0) return true;  // it has waited already
  const Caller& client = *kept.caller;
  if (&kept.caller->client() != kept.caller || client.pending() > kMostLookedAt) return false;
  boost::unordered_flat_set<std::string> own;
  std::size_t seen = 0;
  bool apart = true;
  const auto look_at = [&](const Errand& one, auto check) {
    return with_request(one, [&](const Request& request, const Route& route) {
      std::vector<ByteView> keys;
      commands_.append_keys(request, route, keys);
      return check(route, keys);
    });
  };
  look_at(kept, [&](const Route&, const std::vector<ByteView>& keys) {
    own.insert(keys.begin(), keys.end());
    return true;
  });
  errands_.for_each_of(client, [&](const Errand& one) {
    ++seen;
    if (&one == &kept) return;
    apart = apart && look_at(one, [&](const Route& route, const std::vector<ByteView>& keys) {
              return route.effect != Effect::all &&
                     std::ranges::none_of(keys, [&](ByteView key) { return own.contains(std::string(key)); });
            });
  });
  // What is no errand of the client's alone (a part of MGET, a read that others have begun) is not seen here.
  return apart && !own.empty() && seen == client.pending();
}

/// Shows a kept request as it was when it came, from a client as it was then.
template <class Visit>
bool Retries::with_request(const Errand& kept, Visit visit) {
  const auto status = parser_.parse(kept.raw, {});
  if (!status || *status != RequestParser::Status::ready) return false;
  Bytes nowhere;
  ReplyWriter reply(nowhere, kept.protocol);
  ClientAsItWas caller(kept);
  const Request request{kept.spec, parser_.argv(), kept.raw, unix_now_ms(), caller, reply};
  return visit(request, commands_.route(request));
}

bool Retries::saves(Lane& lane, const InFlight& entry, LaneOwner::Fate fate) {
  if (entry.errand == 0) return false;
  refresher_.hurry();
  if (lane.lost_its_rights() || (!entry.reads && fate == LaneOwner::Fate::unknown)) return false;
  const std::string problem =
      fmt::format("ERR Redis at {} {}: {}", lane.label(),
                  fate == LaneOwner::Fate::never_sent ? "cannot be reached" : "was lost", lane.problem());
  if (topology_.is_single()) return repeats(lane, entry, fate, problem);
  for_each_errand(entry, [&](std::uint32_t errand) {
    if (errands_.has_lost_write(*errands_[errand].caller)) return answer(errand, problem);
    park(errand, kPauseUs, problem);
  });
  return true;
}

/// One server: the read goes the same way once more.
bool Retries::repeats(Lane& lane, const InFlight& entry, LaneOwner::Fate fate, ByteView problem) {
  if (fate == LaneOwner::Fate::never_sent) return false;
  for_each_errand(entry, [&](std::uint32_t errand) {
    Errand& kept = errands_[errand];
    const bool may_go = kept.hops++ == 0 && !errands_.has_lost_write(*kept.caller) && lane.refusal().empty();
    if (!may_go || !with_request(kept, [&](const Request& request, const Route& route) {
          context_.statistics.retries.add();
          sender_.send_kept(request, route, lane, errand, 1);
          return true;
        }))
      answer(errand, problem);
  });
  return true;
}

Step Retries::refuse(const Request& request, ByteView refusal) {
  const std::uint32_t errand = errands_.keep(request, request.caller.defer());
  refresher_.hurry();
  park(errand, kPauseUs, refusal);
  return Step::pending;
}

void Retries::begin(std::uint32_t errand) {
  if (!try_again(errand, std::nullopt, Hop::plain)) park(errand, kPauseUs, "ERR Redis cannot be reached");
}

void Retries::replay(Occasion occasion) {
  if (!errands_.any_parked()) return;
  const std::int64_t now_us = steady_now_us();
  boost::unordered_flat_set<const Caller*> still_waiting;
  for (const std::uint32_t errand : errands_.take_parked()) {
    Errand& kept = errands_[errand];
    if (now_us >= kept.deadline_us) {
      answer(errand, kept.problem);
      continue;
    }
    const bool is_due = occasion == Occasion::news || now_us >= kept.retry_us;
    if (is_due && !still_waiting.contains(kept.caller) && try_again(errand, std::nullopt, Hop::plain))
      continue;
    still_waiting.insert(kept.caller);
    errands_.park(errand);
  }
}

}  // namespace larder::redis
