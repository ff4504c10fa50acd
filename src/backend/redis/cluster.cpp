#include "backend/redis/cluster.h"

#include <charconv>

#include <fmt/format.h>

#include "backend/redis/handshake.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/error_reply.h"

namespace larder::redis {
namespace {

constexpr ByteView kCrossSlot = "CROSSSLOT Keys in request don't hash to the same slot";

void encode(std::span<const ByteView> argv, Bytes& out) {
  out.clear();
  ReplyWriter writer(out, Protocol::resp2);
  writer.begin_array(argv.size());
  for (const ByteView argument : argv) writer.bulk(argument);
}

}  // namespace

Cluster::Cluster(const NodeContext& context, Topology& topology, Refresher& refresher, Retries& retries,
                 ClusterHost& host)
    : context_(context), topology_(topology), refresher_(refresher), retries_(retries), host_(host) {}

// --- requests ---

std::optional<Step> Cluster::take_unless_single(const Request& request, const Route& route) {
  if (!topology_.is_cluster()) return await_topology(request);
  if (splits_keys(route.spread)) return split(request, route);
  if (route.spread == Spread::scan) return scan(request, route);
  if (route.spread == Spread::of_slot) return ask_slot(request, route);
  if (route.spread != Spread::none) return fan_out(request, route);
  return check_slots(request, route);
}

/// Nothing is known yet: the request is run again when it is, or answered with the reason why nobody says it.
Step Cluster::await_topology(const Request& request) {
  if (unreachable_.empty()) return Step::hold;
  request.reply.error(unreachable_);
  return Step::done;
}

/// Nothing: all keys are in one slot.
std::optional<Step> Cluster::check_slots(const Request& request, const Route& route) {
  if (route.key_rule == KeyRule::range && route.keys.first == route.keys.last) return std::nullopt;
  // What is wrong with the number of arguments, Redis says first.
  if (!route.takes(request.argv.size()) || !spans_slots(request, route)) return std::nullopt;
  request.reply.error(kCrossSlot);
  return Step::done;
}

bool Cluster::may_queue(const Request& request, const Route& route) {
  if (!topology_.is_cluster()) return true;
  const bool is_for_all = route.spread != Spread::none && !splits_keys(route.spread);
  if (!is_for_all || route.needs != Private::no) return !check_slots(request, route);
  request.reply.error(fmt::format("ERR '{}' inside of a transaction would reach one node of the cluster only",
                                  request.argv[0].substr(0, 128)));
  return false;
}

/// Leaves the positions of the keys in positions_.
bool Cluster::spans_slots(const Request& request, const Route& route) {
  if (route.key_rule == KeyRule::block) return route.spans_slots;
  positions_.clear();
  append_key_positions(route.key_rule, route.keys, request.argv, positions_);
  if (positions_.size() < 2) return false;
  const std::uint16_t first = hash_slot(request.argv[positions_.front()]);
  return std::ranges::any_of(positions_, [&](auto at) { return hash_slot(request.argv[at]) != first; });
}

std::optional<Step> Cluster::split(const Request& request, const Route& route) {
  const std::size_t stride = route.spread == Spread::pairs ? 2 : 1;
  if ((request.argv.size() - 1) % stride != 0) {
    append_wrong_arity(request.reply, request.spec->name);
    return Step::done;
  }
  if (!spans_slots(request, route)) return std::nullopt;
  const Lane& lane = topology_.any_node().lane_for(route, request.caller);
  if (!lane.keeps_order(request.caller)) return Step::hold;
  lane.take_order(request.caller);

  Split split(request.argv, positions_, stride);
  Gather& gather = free_gather();
  gather.start(request, route.spread, split.parts().size());
  gather.part_of_key = split.take_part_of_key();
  Bytes raw;
  for (std::size_t i = 0; i < split.parts().size(); ++i) {
    const auto& argv = split.parts()[i].argv;
    encode(argv, raw);
    run_part(gather, i, {request.spec, argv, raw, request.now_ms, gather, request.reply}, route, nullptr);
  }
  return gather.settle(request);
}

Step Cluster::fan_out(const Request& request, const Route& route) {
  const bool waits = route.needs == Private::blocks || route.needs == Private::kills;
  if (waits && request.caller.pending() > 0) return Step::hold;
  const Lane& lane = topology_.any_node().lane_for(route, request.caller);
  if (!lane.keeps_order(request.caller)) return Step::hold;
  lane.take_order(request.caller);
  std::vector<Node*> masters;
  topology_.for_each_master([&](Node& node) { masters.push_back(&node); });
  Gather& gather = free_gather();
  gather.start(request, route.spread, masters.size());
  for (std::size_t i = 0; i < masters.size(); ++i)
    run_part(gather, i, {request.spec, request.argv, request.raw, request.now_ms, gather, request.reply},
             route, masters[i]);
  const Step step = gather.settle(request);
  return waits && step == Step::pending ? Step::blocking : step;
}

/// Nothing: Redis shall say what is wrong with the cursor.
std::optional<Step> Cluster::scan(const Request& request, const Route& route) {
  std::uint64_t cursor = 0;
  const ByteView text = request.argv.size() > 1 ? request.argv[1] : ByteView();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const Lane& lane = topology_.any_node().lane_for(route, request.caller);
  if (!lane.keeps_order(request.caller)) return Step::hold;
  lane.take_order(request.caller);

  ScanCursor at = ScanCursor::unpack(cursor);
  // A cursor that begins a master may be older than the topology.
  if (at.of_node == 0) at.slot = topology_.next_master(at.slot).value_or(0);
  Gather& gather = free_gather();
  gather.start(request, Spread::scan, 1);
  gather.scan = at;
  gather.next_slot = topology_.next_master(at.slot + 1u);
  const std::string of_node = std::to_string(at.of_node);
  std::vector<ByteView> argv(request.argv.begin(), request.argv.end());
  argv[1] = of_node;
  Bytes raw;
  encode(argv, raw);
  run_part(gather, 0, {request.spec, argv, raw, request.now_ms, gather, request.reply}, route,
           &topology_.node_of_slot(at.slot));
  return gather.settle(request);
}

/// Nothing: Redis shall say what is wrong with the slot.
std::optional<Step> Cluster::ask_slot(const Request& request, const Route& route) {
  std::uint16_t slot = 0;
  const ByteView text = request.argv.size() > 2 ? request.argv[2] : ByteView();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  if (error != std::errc{} || end != text.data() + text.size() || slot >= kHashSlots) return std::nullopt;
  Node& node = topology_.node_of_slot(slot);
  if (!node.lane_for(route, request.caller).keeps_order(request.caller)) return Step::hold;
  return host_.execute_at(request, route, node);
}

/// Runs a part at `node`, or where its keys are.
void Cluster::run_part(Gather& gather, std::size_t part, const Request& request, const Route& route,
                       Node* node) {
  // The order was looked after for the whole; what a part before this one has changed does not matter to it.
  topology_.any_node().lane_for(route, gather).take_order(gather);
  ReplyWriter reply(gather.begin(part), gather.protocol());
  const Request own{request.spec, request.argv, request.raw, request.now_ms, gather, reply};
  const Step step = node != nullptr ? host_.execute_at(own, route, *node) : host_.execute(own);
  if (step == Step::done) gather.finish_now();
}

Gather& Cluster::free_gather() {
  for (const auto& gather : gathers_)
    if (gather->is_done()) return *gather;
  return *gathers_.emplace_back(std::make_unique<Gather>());
}

// --- topology ---

void Cluster::tick(std::int64_t now_us) {
  if (topology_.is_single()) return;
  if (topology_.is_cluster()) {
    topology_.avoid_lost_node();
    if (topology_.lacks_master() || retries_.any_waits()) refresher_.hurry();
  }
  if (refresher_.is_due(now_us)) ask_topology(now_us);
  retries_.replay(Retries::Occasion::time);
}

void Cluster::ask_topology(std::int64_t now_us) {
  Lane& lane = topology_.next_to_ask().usual_lane();
  InFlight entry;
  entry.kind = InFlight::Kind::topology;
  entry.index = refresher_.begin(now_us);
  if (!lane.refusal().empty()) return on_topology_lost(lane, entry);
  append_request(lane.output(), {"CLUSTER", "SLOTS"});
  lane.expect(entry);
}

void Cluster::on_topology(const Lane& lane, const Reply& reply) {
  refresher_.answered(steady_now_us());
  context_.statistics.refreshes.add();
  failed_nodes_ = 0;
  const auto map = parse_cluster_slots(reply.bytes, lane.host());
  if (map && !map->masters.empty()) return learn(*map);
  if (topology_.is_cluster()) return;
  if (map) {
    unreachable_ = "CLUSTERDOWN Hash slot not served";
    return refresher_.hurry();
  }
  if (!context_.options.must_be_cluster) return topology_.set_single();
  unreachable_ = fmt::format("ERR Redis at {} is not a node of a cluster", lane.label());
}

void Cluster::learn(const SlotMap& map) {
  const bool is_first = !topology_.is_cluster();
  unreachable_.clear();
  if (!topology_.apply(map)) return;
  if (is_first && context_.worker == 0)
    log::info("redis: a cluster of {} masters and {} replicas", map.masters.size(), map.replicas.size());
  retries_.replay(Retries::Occasion::news);
}

void Cluster::on_topology_lost(const Lane& lane, const InFlight& entry) {
  refresher_.failed(entry.index, steady_now_us());
  if (++failed_nodes_ < topology_.node_count() || !unreachable_.empty()) return;
  unreachable_ = fmt::format("ERR Redis at {} cannot be reached: {}", lane.label(), lane.problem());
}

}  // namespace larder::redis
