#include "backend/redis/redis_backend.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "backend/block.h"
#include "backend/redis/answer.h"
#include "backend/redis/invalidation.h"
#include "backend/redis/swap_watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/error_reply.h"
#include "command/tags.h"

namespace larder::redis {
namespace {

constexpr std::int64_t kAskAboutTagsUs = 1'000'000, kAskAboutRightsUs = 1'000'000;
/// Of a database, by the name of its records: tag_scripts.h.
constexpr ByteView kAnyBookkeeping =
    "local group = string.sub(KEYS[1], 1, -2) return redis.call('EXISTS', KEYS[1], group .. 't', group .. "
    "'m', group .. 'j')";
constexpr auto kTick = std::chrono::milliseconds(50);
/// No lane's: what follows waits until the request is answered, as it may have to be sent again.
constexpr char kNoOrder = 0;
constexpr ByteView kOutcomeUnknown = "; whether the write took effect is unknown";

/// Of a script that is refused, or of a command in it.
/// Source: Redis script.c scriptVerifyACL(), of 7.0 and of later versions.
bool is_about_rights(ByteView error) noexcept {
  return error.starts_with("-NOPERM ") || error.starts_with("-ERR The user executing the script ") ||
         error.starts_with("-ERR ACL failure in script");
}

/// Writes of one key whose reply, `+OK` or a number above 0, says that it was changed; sorted.
constexpr auto kSureWrites = std::to_array<std::string_view>(
    {"append", "decr", "decrby", "del",   "expire", "hdel",    "hincrby", "hmset",
     "hset",   "incr", "incrby", "lpush", "lset",   "pexpire", "psetex",  "rpush",
     "sadd",   "set",  "setex",  "srem",  "unlink", "zadd",    "zrem"});
static_assert(std::ranges::is_sorted(kSureWrites));

bool is_sure_write(const Request& request) noexcept {
  return request.spec != nullptr && std::ranges::binary_search(kSureWrites, request.spec->name);
}

/// Who need not be told of what it wrote itself; nobody where it may not have changed anything, as then it
/// would be forgotten and still have what it read, or where it reads something behind the write.
ReaderId author_of(const InFlight& entry, const Reply& reply) noexcept {
  if (entry.expired || !entry.is_sure || entry.written_keys != 1 || entry.caller->client().pending() > 1)
    return 0;
  const bool has_changed = reply.bytes == "+OK\r\n" || (reply.type == ':' && reply.bytes[1] > '0');
  return has_changed ? entry.caller->spared : 0;
}

bool is_flush(ByteView name) noexcept {
  return equals_ignore_case(name, "flushall") || equals_ignore_case(name, "flushdb");
}

bool is_read(const InFlight& entry) noexcept {
  return entry.kind == InFlight::Kind::fill || entry.kind == InFlight::Kind::many_fill;
}

}  // namespace

RedisBackend::RedisBackend(boost::asio::io_context& io, Poller& poller, const Shared& shared,
                           Statistics& statistics)
    : options_(shared.options),
      context_{io,           poller, options_, shared.keyspace, statistics, *this, shared.keyspace.enabled(),
               shared.worker},
      health_(shared.health),
      scripts_(shared.scripts),
      tag_state_(shared.tags),
      topology_(context_, health_, shared.view, shared.broadcasts),
      reads_(context_, topology_, open_writes_, errands_),
      refresher_(std::random_device{}()),
      retries_(context_, {topology_, commands_, reads_, errands_, refresher_, scripts_}, *this),
      cluster_(context_, topology_, refresher_, retries_, *this),
      users_(context_, topology_),
      private_lanes_(context_, topology_, shared.private_counts),
      private_(topology_, private_lanes_, *this),
      subscriptions_(context_, topology_, private_lanes_),
      tag_requests_(tag_state_, commands_, topology_),
      tag_registrar_(tag_state_, commands_, topology_, *this, errands_, retries_),
      tag_jobs_(context_, tag_state_, topology_, tag_registrar_, *this),
      tag_blocks_(tag_jobs_, tag_state_, commands_),
      blocks_(context_, tag_requests_, tag_state_, retries_),
      broadcasts_(shared.broadcasts),
      broadcast_waiters_(context_, shared.broadcasts, tag_state_.prefix),
      timer_(io) {
  // The lane that most clients will use is opened at once: a wrong address shows in the log, not at the first
  // request.
  if (shared.options.sentinels.nodes.empty())
    topology_.any_node().usual_lane();
  else
    follower_ = std::make_unique<Follower>(context_, topology_, retries_, shared.master);
  arm_tick(std::chrono::milliseconds(0));
}

RedisBackend::~RedisBackend() = default;

Step RedisBackend::execute(const Request& request) {
  const Route route = commands_.route(request);
  if (draining_) {
    request.reply.error("ERR Larder is shutting down");
    return Step::done;
  }
  heed_script(request);
  if (KnownCommands::bars(request, route)) return Step::done;
  if (request.caller.holds.subscribing && equals_ignore_case(request.argv[0], "ping"))
    return subscriptions_.ping(request);
  if (route.needs == Private::subscribes && is_away()) return subscriptions_.turn_away(request);
  if (const std::optional<Step> taken = look_first(request, route)) {
    if (*taken == Step::done && is_swept(route) && is_away()) tag_jobs_.note_refused(request);
    return *taken;
  }
  if (route.needs == Private::subscribes) return subscriptions_.take(request, route);
  if (!may_tag(request, route)) return Step::done;
  if (is_swept(route)) return tag_jobs_.run(request);
  if (route.has_all_of_tag && topology_.is_cluster())
    return tag_blocks_.run(request, route, [&](const Request& block) { return run(block, route); });
  return run(request, route);
}

/// What is for one node.
Step RedisBackend::run(const Request& request, const Route& route) {
  if (route.key_rule == KeyRule::block && request.caller.holds.watching)
    if (const std::optional<Step> held = tag_registrar_.hold(request, route)) return *held;
  if (route.needs != Private::no)
    if (const std::optional<Step> taken = private_.take(request, route)) return *taken;
  // What L1 holds was read with Larder's own rights.
  const bool may_use_l1 =
      context_.caching && request.caller.acts_as == nullptr && !request.caller.holds.watching;
  if (options_.reads_from_replicas)
    if (const std::optional<Step> taken = read_from_replica(request, route, may_use_l1)) return *taken;
  if (may_use_l1 && reads_.serves(request, route)) return reads_.execute(request, route);
  const Step step = forward(request, route);
  // Which keys it changes, and nothing behind it may read from L1, is known when it is answered.
  return route.tells && step == Step::pending ? Step::blocking : step;
}

void RedisBackend::append_read_keys(const Request& request, std::vector<KeyRef>& keys) {
  if (is_transaction(request))
    return for_each_queued(request, [&](const Request& queued) { append_read_keys(queued, keys); });
  const Route route = commands_.route(request);
  if (!route.readonly && !route.runs_script) return;
  std::vector<ByteView> names;
  commands_.append_keys(request, route, names);
  for (const ByteView name : names) keys.emplace_back(request.caller.db(), name);
}

bool RedisBackend::may_queue(const Request& request) {
  const Route route = commands_.route(request);
  return !KnownCommands::bars(request, route) && !commands_.refuses(request) &&
         cluster_.may_queue(request, route) && may_tag(request, route);
}

/// It is not one request to Redis.
bool RedisBackend::is_swept(const Route& route) const noexcept {
  return route.tags == TagRole::sweeps || (route.tags == TagRole::walks && topology_.is_cluster());
}

/// False: the reason was appended to the reply.
bool RedisBackend::may_tag(const Request& request, const Route& route) {
  if (request.spec == nullptr || route.tags == TagRole::none) return true;
  if (const Result<void> checked = check_tag_words(*request.spec, request.argv); !checked) {
    append_error(request.reply, checked.error());
    return false;
  }
  const bool gives_tags =
      route.tags == TagRole::adds || (route.tags == TagRole::sets && tag_requests_.replaces(request, route));
  if (!gives_tags || !tag_state_.scripts_refused.load(std::memory_order_relaxed)) return true;
  request.reply.error(
      "ERR no key can have tags here: Redis lets Larder run no scripts over what is known of them");
  return false;
}

/// Keeps the scripts that go by, for a server that lacks one.
void RedisBackend::heed_script(const Request& request) {
  switch (script_use(request.argv)) {
    case ScriptUse::eval:
      return scripts_.remember(request.argv[1]);
    case ScriptUse::load:
      return scripts_.remember(request.argv[2]);
    case ScriptUse::flush:
      return scripts_.forget_all();
    case ScriptUse::by_sha:
    case ScriptUse::none:
      return;
  }
}

/// What there is to do because there may be more than one Redis. Nothing: the request is for one node, go on.
std::optional<Step> RedisBackend::look_first(const Request& request, const Route& route) {
  return follower_ != nullptr ? follower_->take(request) : cluster_.take(request, route);
}

/// Redis could not be reached since the start, and nobody knows who the servers are.
bool RedisBackend::is_away() const noexcept {
  return !topology_.is_known() && !(follower_ != nullptr ? follower_->problem() : cluster_.problem()).empty();
}

/// Nothing: the master shall answer. The rights of other users may be others on a replica, and WATCH is about
/// what the master has.
std::optional<Step> RedisBackend::read_from_replica(const Request& request, const Route& route,
                                                    bool may_use_l1) {
  Caller& caller = request.caller;
  const bool may_be_old = route.readonly && route.key_rule != KeyRule::block && caller.acts_as == nullptr &&
                          !caller.holds.watching && caller.tracks == Caller::Tracks::nothing;
  if (topology_.is_single() || !may_be_old || tag_requests_.replaces(request, route)) return std::nullopt;
  Node* const master = topology_.node_of_first_key(request, route);
  Lane* const lane = master == nullptr ? nullptr : master->find_reader(caller.protocol(), caller.db());
  if (lane == nullptr) return std::nullopt;
  if (may_use_l1 && reads_.answers(request, route)) return Step::done;
  if (!lane->keeps_order(caller) || !lane->has_room_for(caller)) return Step::hold;
  InFlight entry;
  entry.caller = &caller;
  entry.ticket = caller.defer();
  entry.errand = errands_.keep(request, entry.ticket);
  context_.statistics.replica_reads.add();
  send(request, route, *lane, entry);
  return Step::pending;
}

Step RedisBackend::forward(const Request& request, const Route& route) {
  const Caller& caller = request.caller;
  Lane& lane = lane_for(request, route);
  if (const std::optional<Step> waits = tag_registrar_.take(request, route, lane)) return *waits;
  if (!lane.keeps_order(caller)) return Step::hold;
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) return refuse(lane, request, refusal);
  if (!lane.has_room_for(caller)) return Step::hold;
  const bool is_block = route.key_rule == KeyRule::block;
  InFlight entry;
  entry.caller = &request.caller;
  entry.ticket = request.caller.defer();
  const bool may_need_script = calls_known_script(request);
  const bool is_replaced = tag_requests_.replaces(request, route);
  if (!topology_.is_single() || route.readonly || may_need_script || is_block || is_replaced)
    entry.errand = errands_.keep(request, entry.ticket);
  if (is_replaced && topology_.is_cluster())
    errands_[entry.errand].directory_epoch = tag_state_.directory.epoch();
  const bool may_need_gate = is_block && lane.block_guard() == Lane::BlockGuard::unknown;
  send(request, route, lane, entry);
  if (may_need_script) errands_[entry.errand].calls_known_script = true;
  if (may_need_script || may_need_gate) request.caller.lane = &kNoOrder;
  return Step::pending;
}

Lane& RedisBackend::lane_for(const Request& request, const Route& route) {
  if (request.caller.holds.subscribing)
    if (Lane* own = subscriptions_.lane_for(request, route)) return *own;
  return topology_.node_for(request, route).lane_for(route, request.caller);
}

/// A script that the server may lack and Larder has.
bool RedisBackend::calls_known_script(const Request& request) {
  return script_use(request.argv) == ScriptUse::by_sha && scripts_.knows(request.argv[1]);
}

void RedisBackend::send(const Request& request, const Route& route, Lane& lane, InFlight entry) {
  entry.converts = lane.purpose().protocol == Protocol::resp3 && request.reply.protocol() == Protocol::resp2;
  entry.reads = route.readonly;
  entry.writes = route.effect != Effect::none;
  entry.is_asked = entry.replies_left > 1;
  entry.is_sure = request.caller.spared != 0 && is_sure_write(request);
  if (context_.caching && entry.writes) void_written(lane, request, route, entry);
  entry.scripted = route.tags == TagRole::own || tag_requests_.replaces(request, route);
  entry.hides = route.tags == TagRole::shows || route.tags == TagRole::in_slot;
  entry.flushes = topology_.is_cluster() && route.effect == Effect::all && is_flush(request.argv[0]);
  if (entry.scripted && !lane.knows_tag_scripts) teach_tag_scripts(lane);
  // Behind ASKING it must be the next command.
  const bool looks_itself = entry.scripted && route.key_rule != KeyRule::block;
  const bool tidies = entry.writes && route.effect == Effect::keys && !entry.patient && !looks_itself &&
                      entry.replies_left == 1 && tag_state_.in_use(request.caller.db());
  if (tidies) tidy(request, route, lane);
  lane.take_order(request.caller);
  if (route.key_rule == KeyRule::block)
    blocks_.send(request, route, lane, entry);
  else
    send_one(request, route, lane, entry);
  const bool may_end = route.tags == TagRole::ends || route.key_rule == KeyRule::block;
  if (tidies && may_end) tidy(request, route, lane);
}

void RedisBackend::send_one(const Request& request, const Route& route, Lane& lane, const InFlight& entry) {
  if (entry.scripted && joins_batch(request, route, lane)) return lane.expect_in_batch(entry);
  if (entry.scripted)
    tag_requests_.append(request, route, lane, lane.output());
  else
    lane.output().append(request.raw);
  lane.expect(entry);
}

bool RedisBackend::joins_batch(const Request& request, const Route& route, Lane& lane) {
  if (!lane.takes_batches()) return false;
  if (tag_requests_.joins(request, route, lane.batch())) return true;
  if (lane.batch().empty()) return false;
  lane.end_batch();
  return tag_requests_.joins(request, route, lane.batch());
}

void RedisBackend::teach_tag_scripts(Lane& lane) {
  InFlight load;
  load.kind = InFlight::Kind::upkeep;
  for (const LoadedScript& script : tag_scripts()) {
    append_request(lane.output(), {"SCRIPT", "LOAD", script.body});
    lane.expect(load);
  }
  lane.knows_tag_scripts = true;
}

/// A key that has gone unseen (it expired, or somebody else deleted it) has left its tags behind: before it
/// is written again, and after a client has deleted it, they are forgotten.
void RedisBackend::tidy(const Request& request, const Route& route, Lane& lane) {
  if (!lane.knows_tag_scripts) teach_tag_scripts(lane);
  if (!tag_requests_.append_tidy(request, route, lane.output())) return;
  InFlight entry;
  entry.kind = InFlight::Kind::upkeep;
  lane.expect(entry);
}

Step RedisBackend::execute_at(const Request& request, const Route& route, Node& node) {
  if (route.needs == Private::blocks) return private_.block_at(node, request, route);
  if (route.needs == Private::kills) return private_.kill_at(node, request, route);
  Lane& lane = node.lane_for(route, request.caller);
  if (const ByteView refusal = lane.refusal(); !refusal.empty()) {
    request.reply.error(refusal);
    return Step::done;
  }
  InFlight entry;
  entry.caller = &request.caller;
  entry.ticket = request.caller.defer();
  send(request, route, lane, entry);
  return Step::pending;
}

void RedisBackend::send_kept(const Request& request, const Route& route, Lane& lane, std::uint32_t errand,
                             std::uint32_t replies) {
  InFlight entry;
  entry.replies_left = replies;
  entry.caller = errands_[errand].caller;
  entry.ticket = errands_[errand].ticket;
  entry.errand = errand;
  if (const CachedRead* read = errands_[errand].read; read != nullptr) entry.nesting = read->nesting;
  send(request, route, lane, entry);
}

/// Where nobody else could take it the request is answered with the reason.
Step RedisBackend::refuse(const Lane& lane, const Request& request, ByteView refusal) {
  if (!topology_.is_single() && lane.is_down() && !lane.lost_its_rights())
    return retries_.refuse(request, refusal);
  request.reply.error(refusal);
  return Step::done;
}

void RedisBackend::void_written(Lane& lane, const Request& request, const Route& route, InFlight& entry) {
  keys_.clear();
  if (entry.patient)
    append_key_refs(request, route, keys_);
  else if (route.effect == Effect::keys)
    commands_.append_written_keys(request, route, keys_);
  entry.writes_anything = keys_.empty() && route.effect != Effect::told;
  entry.written_keys = static_cast<std::uint32_t>(keys_.size());
  for (const KeyRef& key : keys_) lane.written_keys().push(key);
  // It will write when nobody knows when; until then nothing behind it waits for that, and L1 is right.
  if (entry.patient) return;
  if (entry.writes_anything) {
    open_writes_.add_all();
    context_.keyspace.void_all_early();
  }
  for (const KeyRef& key : keys_) {
    open_writes_.add(key.hash);
    context_.keyspace.void_key_early(key);
  }
}

/// What waits writes to keys that it names, wherever they stand.
void RedisBackend::append_key_refs(const Request& request, const Route& route, std::vector<KeyRef>& keys) {
  std::vector<ByteView> names;
  commands_.append_keys(request, route, names);
  for (const ByteView name : names) keys.emplace_back(request.caller.db(), name);
}

/// The write was answered or lost: what was filled meanwhile may be older than it.
void RedisBackend::void_again(Lane& lane, const InFlight& entry, ReaderId author) {
  // What clients have read Redis tells of, key by key.
  if (entry.writes_anything) {
    if (!entry.patient) open_writes_.remove_all();
    context_.keyspace.void_all_early();
  }
  for (std::uint32_t i = 0; i < entry.written_keys; ++i)
    lane.written_keys().pop([&](const KeyRef& key) {
      if (!entry.patient) open_writes_.remove(key.hash);
      context_.keyspace.void_key(key, author);
    });
}

// --- what lanes say ---

void RedisBackend::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  switch (entry.kind) {
    case InFlight::Kind::forward:
      return finish_forward(lane, entry, reply);
    case InFlight::Kind::block:
      return blocks_.on_reply(lane, entry, reply, [&](const InFlight& answered, const Reply& shown) {
        finish_forward(lane, answered, shown);
      });
    case InFlight::Kind::upkeep:
      return;
    case InFlight::Kind::tagged:
      if (reply.bytes == ":0\r\n" && context_.worker == 0)
        tag_state_.doubt_use(static_cast<int>(entry.index));
      else if (reply.type == ':' && reply.bytes != ":0\r\n")
        tag_state_.use(static_cast<int>(entry.index));
      tag_state_.scripts_refused.store(
          is_about_rights(reply.bytes) || reply.bytes.starts_with("-ERR unknown command"),
          std::memory_order_relaxed);
      return;
    case InFlight::Kind::rights:
      if (lane.rights_changed(reply.bytes)) context_.keyspace.void_all();
      return;
    case InFlight::Kind::unblock:
      return private_.unblocked(entry, reply.bytes);
    case InFlight::Kind::fill:
    case InFlight::Kind::many_fill:
      if (entry.errand == 0 || entry.replies_left > 0) return reads_.on_reply(lane, entry, reply);
      if (reply.type == '-' && retries_.redirects(lane, entry, reply)) return;
      reads_.on_reply(lane, entry, reply);
      return errands_.forget(entry.errand);
    case InFlight::Kind::topology:
      return cluster_.on_topology(lane, reply);
    case InFlight::Kind::login:
      return users_.on_reply(entry, reply);
    case InFlight::Kind::subscription:
      return subscriptions_.on_reply(lane, entry, reply);
    case InFlight::Kind::pong:
      return Subscriptions::on_pong(entry, reply);
    case InFlight::Kind::ping:
      if (lane.purpose().tracking && lane.swapdb_moved(swapdb_calls(reply.bytes)))
        context_.keyspace.void_all();
      return;
  }
}

void RedisBackend::finish_forward(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (entry.replies_left > 0) return;  // ASKING's
  heed_promotions();
  if (entry.flushes) tag_state_.directory.doubt();
  if (context_.caching && entry.writes) void_again(lane, entry, author_of(entry, reply));
  if (reply.type == '-' && lane.lease != nullptr && private_.redirects(lane, entry, reply)) return;
  if (reply.type == '-' && entry.scripted && goes_again(lane, entry, reply)) return;
  if (entry.errand != 0) {
    const bool goes_on = reply.type == '-' && (retries_.redirects(lane, entry, reply) ||
                                               retries_.teaches_script(lane, entry, reply));
    if (goes_on) return;
    heed_directory(entry);
    errands_.forget(entry.errand);
  }
  const std::optional<Bytes> shown =
      entry.hides ? without_names(reply.bytes, tag_state_.prefix) : std::nullopt;
  if (!entry.expired) answer(entry, shown ? Reply{*shown, '*', false, reply.took_us} : reply);
  if (lane.lease != nullptr) private_.answered(lane, entry, reply.type);
}

/// A new master may lack what the old one was told last.
void RedisBackend::heed_promotions() {
  if (std::exchange(promotions_, topology_.promotions()) != topology_.promotions())
    tag_state_.directory.lose_master();
}

/// The slot of a write with tags was in the book when it was sent; it may have been lost since.
void RedisBackend::heed_directory(const InFlight& entry) {
  const std::uint32_t relied_on = errands_[entry.errand].directory_epoch;
  if (relied_on != 0 && relied_on != tag_state_.directory.epoch()) tag_state_.directory.recheck();
}

/// Somebody has flushed the scripts, or Larder's user may not do something that is in the batch. True: the
/// request was sent again, as its client waits for nothing behind it.
bool RedisBackend::goes_again(Lane& lane, const InFlight& entry, const Reply& reply) {
  const bool lacks_scripts = reply.bytes.starts_with("-NOSCRIPT ");
  if (!lacks_scripts && !(entry.batched && is_about_rights(reply.bytes))) return false;
  if (lacks_scripts)
    lane.knows_tag_scripts = false;
  else
    lane.stop_batches();
  constexpr int kMostAttempts = 3;
  if (entry.expired || entry.errand == 0 || entry.caller->pending() > 1 ||
      ++errands_[entry.errand].hops > kMostAttempts)
    return false;
  return errands_[entry.errand].spec != nullptr && retries_.sends_again(lane, entry);
}

/// `invalidate` with an array of keys, or null after FLUSHALL, FLUSHDB and the like.
void RedisBackend::on_push(Lane& lane, ByteView push) {
  if (lane.purpose().is_private) return subscriptions_.on_push(lane, push);
  context_.statistics.pushes.add();
  read_invalidation(
      push,
      [&](ByteView key) {
        context_.keyspace.void_key_everywhere(key);
        // Of a change before the broadcasts began: who has heard of none may have read the old value in L1
        // since.
        if (lane.told_until_us() < broadcasts_.since_us() && !key.starts_with(tag_state_.prefix))
          context_.keyspace.tracked().broadcast(key);
      },
      [this] {
        if (topology_.is_cluster()) tag_state_.directory.doubt();
        context_.keyspace.void_all();
      });
}

void RedisBackend::on_timeout(Lane& lane, const InFlight& entry) {
  if (entry.kind == InFlight::Kind::topology) return cluster_.on_topology_lost(lane, entry);
  if (entry.kind == InFlight::Kind::block) blocks_.doubt(entry);
  if (entry.errand != 0) errands_[entry.errand].told = true;
  fail(lane, entry,
       fmt::format("ERR Redis at {} did not answer in {} ms{}", lane.label(),
                   context_.options.command_timeout.count(), entry.writes ? kOutcomeUnknown : ""));
  if (entry.kind == InFlight::Kind::subscription)
    subscriptions_.failed(lane);
  else
    private_.failed(lane);
}

void RedisBackend::on_losing(const InFlight& write) {
  if (write.caller != nullptr) errands_.note_lost_write(*write.caller);
}

void RedisBackend::on_lost(Lane& lane, const InFlight& entry, Fate fate) {
  if (context_.caching && entry.writes) void_again(lane, entry);
  if (entry.kind == InFlight::Kind::topology) return cluster_.on_topology_lost(lane, entry);
  if (entry.kind == InFlight::Kind::block) {
    const Bytes refusal = blocks_.take_lost(entry, fate);
    if (!refusal.empty()) {
      errands_.forget(entry.errand);
      if (!entry.expired) answer(entry, {refusal, '-', false});
      return private_.failed(lane);
    }
  }
  if (retries_.saves(lane, entry, fate)) return;
  errands_.forget(entry.errand);
  if (!entry.expired) {
    const bool doubtful = entry.writes && fate == Fate::unknown;
    const ByteView what = fate == Fate::never_sent ? "cannot be reached" : "was lost";
    fail(lane, entry,
         fmt::format("{} Redis at {} {}: {}{}", lane.error_class(), lane.label(), what, lane.problem(),
                     doubtful ? kOutcomeUnknown : ""));
  }
  if (is_read(entry)) reads_.forget(entry);
  if (entry.kind == InFlight::Kind::login) users_.forget(entry);
  if (entry.kind == InFlight::Kind::unblock) private_.unblocked(entry, std::nullopt);
  if (entry.kind == InFlight::Kind::subscription)
    subscriptions_.failed(lane);
  else if (entry.caller != nullptr)
    private_.failed(lane);
}

/// Tells whoever waits that no reply will come.
void RedisBackend::fail(const Lane& lane, const InFlight& entry, ByteView error) {
  if (is_read(entry))
    reads_.fail(entry, error);
  else if (entry.kind == InFlight::Kind::subscription && !lane.lost_its_rights())
    subscriptions_.turn_away(*entry.caller, entry.ticket);
  else if (entry.caller != nullptr)
    answer_error({entry.caller, entry.ticket}, error, steady_now_us() - entry.sent_us);
  else if (entry.kind == InFlight::Kind::login)
    users_.fail(entry, error);
}

void RedisBackend::on_doubt(Lane& lane) {
  const auto stale_ms = context_.options.l1.stale_on_error.count();
  if (lane.purpose().tracking && stale_ms > 0)
    context_.keyspace.lose_source(lane.purpose().source, unix_now_ms() + stale_ms);
  else if (lane.purpose().tracking)
    context_.keyspace.void_source(lane.purpose().source);
  errands_.forget_lost_writes();
  if (lane.lease != nullptr && lane.lease->use == Lease::Use::subscribing) {
    if (lane.is_closed()) subscriptions_.lost(lane);
  } else if (lane.lease != nullptr && lane.is_down()) {
    PrivateRequests::lost(lane);
  }
  if (!lane.speaks_for_node()) return;
  commands_known_ = false;  // it may come back as another version
  // It may also come back without what it was told last.
  if (topology_.is_cluster() && lane.had_connection()) tag_state_.directory.lose_master();
}

/// What was changed meanwhile was not heard of. Other workers, which may not know yet that the node is back,
/// must not show what is older than what this one is about to read.
void RedisBackend::on_trust(Lane& lane) {
  for (const SourceId source : health_.sources_of(lane.label())) context_.keyspace.forget_stale(source);
}

void RedisBackend::on_ready(Lane& lane, const Handshake& handshake) {
  if (!handshake.commands().empty() && wants_commands()) {
    commands_.learn(handshake.commands());
    commands_known_ = true;
  }
  if (!lane.purpose().tracking) return;
  const std::string tracking = handshake.tracks() ? "yes" : "no: " + handshake.tracking_problem();
  if (!health_.set_tracking(tracking) || handshake.tracks()) return;
  log::warning("redis: {} {}", handshake.tracking_problem(),
               context_.options.l1.untracked_ttl.count() > 0
                   ? "L1 entries live for l1.untracked_ttl at most"
                   : "L1 is off (l1.untracked_ttl would bound stale reads)");
}

// --- upkeep ---

/// What L1 holds was read with the rights of Larder's own user, who may have lost some of them.
void RedisBackend::ask_about_rights(std::int64_t now_us) {
  if (!context_.caching || now_us < asked_about_rights_us_ + kAskAboutRightsUs) return;
  asked_about_rights_us_ = now_us;
  topology_.for_each_node([&](const Node& node) {
    node.for_each_own_lane([&](Lane& lane) {
      if (!lane.is_ready() || !lane.speaks_for_node() || !lane.tells_rights()) return;
      const std::string user = lane.login().user;
      append_request(lane.output(), {"ACL", "GETUSER", user.empty() ? ByteView("default") : ByteView(user)});
      InFlight entry;
      entry.kind = InFlight::Kind::rights;
      lane.expect(entry);
    });
  });
}

void RedisBackend::arm_tick(std::chrono::milliseconds delay) {
  timer_.expires_after(delay);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    arm_tick(kTick);
  });
}

void RedisBackend::tick() {
  const std::int64_t now_us = steady_now_us();
  finish_drain();  // before new questions are asked
  topology_.tick(now_us);
  private_lanes_.tick(now_us);
  subscriptions_.tick(now_us);
  follower_ != nullptr ? follower_->tick(now_us) : cluster_.tick(now_us);
  users_.tick(now_us);
  broadcast_waiters_.tick(now_us);
  heed_promotions();
  // Before the servers are known there is nobody to ask, or the wrong one.
  if (topology_.is_known()) tag_jobs_.tick(now_us);
  tag_blocks_.tick();
  ask_about_tags(now_us);
  ask_about_rights(now_us);
}

/// Other Larders may have begun to use tags, or all that there was is gone. A script asks, to learn whether
/// Larder's own user may run any there. In a cluster that is all there is to learn.
void RedisBackend::ask_about_tags(std::int64_t now_us) {
  // What is refused is entered in Redis' ACL LOG.
  const bool refused = tag_state_.scripts_refused.load(std::memory_order_relaxed);
  if (now_us < asked_about_tags_us_ + (refused ? 60 : 1) * kAskAboutTagsUs) return;
  const std::string records = TagGroup::of_database(tag_state_.prefix).records();
  const bool may_doubt = context_.worker == 0 && !topology_.is_cluster();
  topology_.for_each_node([&](const Node& node) {
    node.for_each_own_lane([&](Lane& lane) {
      const int db = lane.purpose().db;
      if (!lane.is_ready() || !lane.speaks_for_node() || (tag_state_.in_use(db) && !may_doubt)) return;
      append_request(lane.output(), {"EVAL", kAnyBookkeeping, "1", records});
      InFlight entry;
      entry.kind = InFlight::Kind::tagged;
      entry.index = static_cast<std::uint32_t>(db);
      lane.expect(entry);
      asked_about_tags_us_ = now_us;
    });
  });
}

void RedisBackend::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  tag_jobs_.drain();
  broadcast_waiters_.close("ERR Larder is shutting down");
}

void RedisBackend::finish_drain() {
  if (!drained_) return;
  bool quiet =
      !retries_.any_waits() && tag_jobs_.is_quiet() && tag_blocks_.is_quiet() && tag_registrar_.is_quiet();
  topology_.for_each_node([&quiet](const Node& node) { quiet = quiet && node.is_quiet(); });
  if (!quiet) return;
  topology_.for_each_node([](Node& node) { node.close(); });
  if (follower_ != nullptr) follower_->close();
  private_lanes_.close_idle();
  std::exchange(drained_, nullptr)();
}

}  // namespace larder::redis
