#include "backend/redis/broadcast_watch.h"

#include <algorithm>

#include <fmt/format.h>

#include "backend/redis/invalidation.h"
#include "backend/redis/swap_watch.h"
#include "base/clock.h"

namespace larder::redis {
namespace {

LoneLane::Terms terms_for(const config::RedisAddress& master, const Options& options) {
  const std::string at = master.path.empty() ? fmt::format("{}:{}", master.host, master.port) : master.path;
  // As for reads: who was the master may have come back as a replica.
  const Standing standing = options.sentinels.nodes.empty() ? Standing::any : Standing::master;
  return {.label = fmt::format("{} for BCAST", at),
          .purpose = {.protocol = Protocol::resp3,
                      .db = 0,
                      .tracking = true,
                      .source = 0,
                      .standing = standing,
                      .hears_all = true}};
}

}  // namespace

BroadcastWatch::BroadcastWatch(const NodeContext& worker, Broadcasts& broadcasts, const std::string& hidden)
    : keyspace_(worker.keyspace),
      broadcasts_(broadcasts),
      hidden_(hidden),
      context_{worker.io,   worker.poller, worker.options, worker.keyspace,
               statistics_, *this,         false,          worker.worker} {}

BroadcastWatch::~BroadcastWatch() = default;

void BroadcastWatch::close() {
  for (const auto& link : links_) link->lane.close();
}

void BroadcastWatch::tick(std::int64_t now_us) {
  dropped_before_ = std::exchange(dropped_, {});
  if (!keyspace_.tracked().anyone_wants_all()) return rest();
  if (seen_ != broadcasts_.version()) follow_masters();
  for (const auto& link : links_) link->lane.tick(now_us);
  look();
  if (!flows_) explain();
}

void BroadcastWatch::follow_masters() {
  seen_ = broadcasts_.version();  // first: what is read behind it is this version or a newer one
  const Broadcasts::Masters masters = broadcasts_.masters();
  drop_links(masters);
  for (const config::RedisAddress& master : masters)
    if (!std::ranges::count(links_, master, [](const auto& link) { return link->address; }))
      links_.push_back(std::make_unique<LoneLane>(context_, master, health_, orders_,
                                                  terms_for(master, context_.options)));
  if (!std::exchange(flows_, false)) return;
  missed_ = true;
  keyspace_.tracked().all_changed();
}

void BroadcastWatch::drop_links(const Broadcasts::Masters& but) {
  for (auto& link : links_) {
    if (std::ranges::count(but, link->address) > 0) continue;
    link->lane.close();
    dropped_.push_back(std::move(link));
  }
  std::erase(links_, nullptr);
}

/// Nobody wants to hear. Who has come meanwhile may believe that all are heard still.
void BroadcastWatch::rest() {
  if (seen_ == 0) return;
  broadcasts_.stop();
  broadcasts_.set_obstacle({});
  drop_links({});
  seen_ = 0;
  flows_ = false;
  missed_ = keyspace_.tracked().anyone_wants_all();
}

/// Whether all are heard.
void BroadcastWatch::look() {
  const bool flows = !links_.empty() && std::ranges::all_of(links_, [](const auto& link) {
    return link->lane.is_ready() && link->lane.is_tracked();
  });
  if (flows == flows_) return;
  flows_ = flows;
  if (flows) {
    broadcasts_.set_obstacle({});
    broadcasts_.start(seen_, steady_now_us());
    // What was read before this moment may have changed unheard.
    if (std::exchange(missed_, false)) keyspace_.tracked().all_changed();
  } else {
    broadcasts_.stop();
    missed_ = true;
    keyspace_.tracked().all_changed();
  }
}

/// For those who wait.
void BroadcastWatch::explain() {
  for (const auto& link : links_) {
    const Lane& lane = link->lane;
    if (lane.is_ready() && !lane.is_tracked()) return;  // on_ready() has said it
    if (!lane.is_ready() && !lane.problem().empty())
      return broadcasts_.set_obstacle({fmt::format("no connection to {}: {}", lane.label(), lane.problem())});
  }
  broadcasts_.set_obstacle({});
}

void BroadcastWatch::on_ready(Lane& lane, const Handshake& handshake) {
  if (!handshake.tracks())
    broadcasts_.set_obstacle({fmt::format("{}: {}", lane.label(), handshake.tracking_problem()), true});
}

void BroadcastWatch::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (entry.kind == InFlight::Kind::ping && lane.swapdb_moved(swapdb_calls(reply.bytes)))
    keyspace_.void_all();
}

/// L1 too forgets the key, at once: who is told of it and reads it again must not be shown what its own
/// connection will tell of later.
void BroadcastWatch::on_push(Lane&, ByteView push) {
  read_invalidation(
      push,
      [this](ByteView key) {
        if (key.starts_with(hidden_)) return;
        keyspace_.void_key_everywhere(key);
        keyspace_.tracked().broadcast(key);
      },
      [this] { keyspace_.void_all(); });
}

}  // namespace larder::redis
