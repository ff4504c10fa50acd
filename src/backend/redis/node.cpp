#include "backend/redis/node.h"

#include <algorithm>

#include <fmt/format.h>

namespace larder::redis {
namespace {

std::string label_of(const config::RedisAddress& address) {
  return address.path.empty() ? fmt::format("{}:{}", address.host, address.port) : address.path;
}

}  // namespace

Node::Node(const NodeContext& context, config::RedisAddress address, Health& health, const Orders& orders)
    : address_(std::move(address)),
      breaker_(context.options.breaker),
      context_{
          context, address_, label_of(address_), context.statistics.of_node(label_of(address_)), breaker_,
          health,  orders} {}

Lane& Node::usual_lane() {
  return lane(context_.worker.caching ? Protocol::resp3 : Protocol::resp2, static_cast<int>(address_.db));
}

Lane& Node::lane(Protocol protocol, int db, const UpstreamUser* user, int scripts) {
  Lanes& lanes = user == nullptr ? lanes_ : guests_[user];
  const int kind = db * 2 + (protocol == Protocol::resp3 ? 1 : 0);
  const auto index = static_cast<std::size_t>(kind * (1 + kScriptLanes) + scripts);
  if (index >= lanes.size()) lanes.resize(index + 1);
  std::unique_ptr<Lane>& lane = lanes[index];
  if (lane == nullptr) {
    const bool tracking =
        context_.worker.caching && protocol == Protocol::resp3 && user == nullptr && scripts == 0;
    const SourceId source = tracking ? context_.worker.keyspace.add_source() : 0;
    if (tracking) context_.health.add_source(label(), source);
    // Another user may not be allowed to ask for the role; the lanes of Larder's own look after that.
    const Standing needed = user == nullptr ? standing() : Standing::any;
    lane = std::make_unique<Lane>(context_, Lane::Purpose{.protocol = protocol,
                                                          .db = db,
                                                          .tracking = tracking,
                                                          .source = source,
                                                          .standing = needed,
                                                          .user = user,
                                                          .scripts = scripts});
  }
  return *lane;
}

/// The first one on which no script takes long.
Lane& Node::lane_for_scripts(Protocol protocol, int db, const UpstreamUser* user) {
  int number = 1;
  while (number < kScriptLanes && lane(protocol, db, user, number).is_held_up()) ++number;
  return lane(protocol, db, user, number);
}

Lane* Node::find_reader(Protocol protocol, int db) {
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    Node& replica = *readers_[(context_.worker.worker + i) % readers_.size()];
    Lane& lane = replica.lane_for_reads(protocol, db);
    if (lane.refusal().empty() && lane.is_ready()) return &lane;
  }
  return nullptr;
}

Lane& Node::lane_for_reads(Protocol protocol, int db) {
  const std::size_t index = static_cast<std::size_t>(db) * 2 + (protocol == Protocol::resp3 ? 1 : 0);
  if (index >= reading_.size()) reading_.resize(index + 1);
  if (reading_[index] == nullptr) {
    const bool asks_role = standing() != Standing::any;
    reading_[index] = std::make_unique<Lane>(
        context_, Lane::Purpose{.protocol = protocol,
                                .db = db,
                                .tracking = false,
                                .source = 0,
                                .standing = asks_role ? Standing::replica : Standing::any,
                                .is_reader = true});
  }
  return *reading_[index];
}

void Node::set_role(Role role, int slots) noexcept {
  context_.statistics.role = role;
  context_.statistics.slots = slots;
}

/// Behind Sentinels a node must say itself that it is the master: it may have come back as a replica.
Standing Node::standing() const noexcept {
  return context_.worker.options.sentinels.nodes.empty() ? Standing::any : Standing::master;
}

Lane& Node::door() {
  if (door_ == nullptr)
    door_ = std::make_unique<Lane>(context_,
                                   Lane::Purpose{Protocol::resp2, 0, false, 0, Standing::any, nullptr, true});
  return *door_;
}

template <class Visit>
void Node::for_each_lane(Visit visit) const {
  for (const Lanes* lanes : {&lanes_, &reading_})
    for (const auto& lane : *lanes)
      if (lane != nullptr) visit(*lane);
  for (const auto& [user, lanes] : guests_)
    for (const auto& lane : lanes)
      if (lane != nullptr) visit(*lane);
  if (door_ != nullptr) visit(*door_);
}

std::unique_ptr<Lane> Node::make_private_lane(Protocol protocol, int db, const UpstreamUser* user) const {
  return std::make_unique<Lane>(context_,
                                Lane::Purpose{protocol, db, false, 0, standing(), user, false, true});
}

std::unique_ptr<Lane> Node::make_killing_lane(const UpstreamUser* user) const {
  return std::make_unique<Lane>(context_, Lane::Purpose{.protocol = Protocol::resp2,
                                                        .db = 0,
                                                        .tracking = false,
                                                        .source = 0,
                                                        .user = user,
                                                        .is_private = true,
                                                        .kills = true});
}

void Node::tick(std::int64_t now_us) {
  if (breaker_.wants_probe(now_us)) usual_lane().probe(now_us);
  tell_breaker();
  const bool runs_script = std::ranges::any_of(lanes_, [](const auto& lane) {
    return lane != nullptr && lane->purpose().scripts > 0 && lane->is_held_up();
  });
  for (const auto& lane : lanes_)
    if (lane != nullptr) lane->tick(now_us, runs_script);
  tick_guests(now_us);
}

/// A user that is gone must not knock for ever; until that is known it does, as its clients may be told what
/// changes and ask for nothing.
void Node::tick_guests(std::int64_t now_us) {
  for (const auto& [user, lanes] : guests_)
    for (const auto& lane : lanes)
      if (lane != nullptr && !lane->lost_its_rights()) lane->tick(now_us);
  if (door_ == nullptr) return;
  if (door_->is_quiet())
    door_->close();
  else
    door_->tick(now_us);
}

void Node::tell_breaker() noexcept {
  context_.statistics.breaker = breaker_.state();
  context_.statistics.breaker_openings = breaker_.openings();
}

void Node::rest(std::int64_t now_us) {
  // Nobody needs to know how it is: whoever asks it next will find out.
  if (breaker_.wants_probe(now_us)) breaker_.succeeded();
  tell_breaker();
  for_each_lane([&](Lane& lane) {
    if (lane.purpose().is_reader) return;
    if (!lane.is_quiet()) return lane.tick(now_us);
    if (lane.is_closed()) return;
    lane.close();
    // What it has told so far may not have been the last word on what was read from it.
    if (lane.purpose().tracking) context_.worker.keyspace.void_source(lane.purpose().source);
  });
}

void Node::tick_reads(std::int64_t now_us) {
  for (const auto& lane : reading_) {
    if (lane == nullptr) continue;
    if (reads_ || !lane->is_quiet())
      lane->tick(now_us);
    else
      lane->close();
  }
}

void Node::distrust() {
  for_each_lane([this](Lane& lane) {
    if (lane.purpose().tracking) context_.worker.keyspace.void_source(lane.purpose().source);
    if (context_.statistics.role != Role::master) lane.give_up();
  });
}

void Node::forgive(const UpstreamUser& user) {
  const auto found = guests_.find(&user);
  if (found == guests_.end()) return;
  for (const auto& lane : found->second)
    if (lane != nullptr) lane->forgive();
}

bool Node::is_quiet_for(const UpstreamUser& user) const noexcept {
  const auto found = guests_.find(&user);
  return found == guests_.end() || std::ranges::all_of(found->second, [](const auto& lane) {
           return lane == nullptr || lane->is_quiet();
         });
}

void Node::leave(const std::string& why) {
  for_each_lane([&](Lane& lane) {
    lane.cut(why);
    if (lane.purpose().tracking) context_.worker.keyspace.void_source(lane.purpose().source);
  });
}

bool Node::is_connected() const noexcept {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane != nullptr && lane->is_ready(); });
}

bool Node::is_quiet() const noexcept {
  bool quiet = true;
  for_each_lane([&quiet](const Lane& lane) { quiet = quiet && lane.is_quiet(); });
  return quiet;
}

void Node::close() {
  for_each_lane([](Lane& lane) { lane.close(); });
}

}  // namespace larder::redis
