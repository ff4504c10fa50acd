#include "backend/redis/sentinel_watch.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"

namespace larder::redis {
namespace {

config::RedisAddress login_at(const Options& options, const config::RedisSeed& sentinel) {
  config::RedisAddress address = options.address;
  address.host = sentinel.host;
  address.port = sentinel.port;
  address.db = 0;
  address.user = options.sentinels.user;
  address.password = options.sentinels.password;
  return address;
}

LoneLane::Terms terms_of(const config::RedisAddress& sentinel) {
  return {.label = fmt::format("Sentinel {}:{}", sentinel.host, sentinel.port),
          .purpose = {.protocol = Protocol::resp3, .db = 0, .tracking = false, .source = 0},
          .password_setting = "redis.sentinel_password"};
}

}  // namespace

SentinelWatch::SentinelWatch(const NodeContext& worker, MasterView& view, std::function<void()> on_news)
    : view_(view),
      on_news_(std::move(on_news)),
      context_{worker.io,   worker.poller, worker.options, worker.keyspace,
               statistics_, *this,         false,          worker.worker},
      refresher_(std::random_device{}()) {
  for (const config::RedisSeed& sentinel : worker.options.sentinels.nodes)
    add(login_at(worker.options, sentinel));
}

SentinelWatch::~SentinelWatch() = default;

void SentinelWatch::add(const config::RedisAddress& sentinel) {
  links_.push_back(std::make_unique<Link>(context_, sentinel, health_, orders_, terms_of(sentinel)));
}

void SentinelWatch::close() {
  for (const auto& link : links_) link->lane.close();
}

// --- asking ---

void SentinelWatch::tick(std::int64_t now_us) {
  for (const auto& link : links_) link->lane.tick(now_us);
  view_.set_connected(
      static_cast<int>(std::ranges::count_if(links_, [](auto& l) { return l->lane.is_ready(); })));
  if (view_.take_wish()) refresher_.hurry();
  if (refresher_.is_due(now_us)) ask_next(now_us);
  explain();
}

void SentinelWatch::ask_next(std::int64_t now_us) {
  refresher_.begin(now_us);
  for (std::size_t tries = links_.size(); tries > 0; --tries) {
    asked_ = (asked_ + 1) % links_.size();
    if (links_[asked_]->lane.is_ready()) return ask(*links_[asked_]);
  }
}

/// The epoch goes with the address, and moves with it: sentinel.c changes both in one step.
void SentinelWatch::ask(Link& link) {
  const std::string& name = context_.options.sentinels.master_name;
  append_request(link.lane.output(), {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name});
  InFlight entry;
  entry.kind = InFlight::Kind::topology;
  entry.replies_left = 2;
  if (context_.options.reads_from_replicas) {
    append_request(link.lane.output(), {"SENTINEL", "REPLICAS", name});
    ++entry.replies_left;
  }
  append_request(link.lane.output(), {"SENTINEL", "MASTER", name});
  link.lane.expect(entry);
}

// --- what they say ---

SentinelWatch::Link& SentinelWatch::link_of(const Lane& lane) {
  return **std::ranges::find_if(links_, [&lane](const auto& link) { return &link->lane == &lane; });
}

void SentinelWatch::on_ready(Lane& lane, const Handshake& handshake) {
  if (handshake.speaks_resp3())
    append_request(lane.output(), {"SUBSCRIBE", "+switch-master", "+promoted-slave"});
  ask(link_of(lane));
}

/// Whatever happened to whichever master: the Sentinel knows more than its message says.
void SentinelWatch::on_push(Lane& lane, ByteView push) {
  if (is_message(push)) ask(link_of(lane));
}

void SentinelWatch::on_reply(Lane& lane, const InFlight& entry, const Reply& reply) {
  if (entry.kind != InFlight::Kind::topology) return;
  Link& link = link_of(lane);
  const bool wants_replicas = context_.options.reads_from_replicas;
  if (wants_replicas && entry.replies_left == 1) {
    link.replicas = parse_replicas(reply.bytes);
    return;
  }
  if (entry.replies_left > 0) {
    link.word = parse_master_address(reply.bytes);
    link.knows_no_master = !link.word;
    return;
  }
  refresher_.answered(steady_now_us());
  if (link.word) believe(link, {*link.word, parse_config_epoch(reply.bytes)});
}

void SentinelWatch::on_timeout(Lane&, const InFlight&) {}

void SentinelWatch::on_lost(Lane&, const InFlight&, Fate) {
  refresher_.hurry();
}

/// The one who has named the master may take it back, and nobody else by what is older or as old.
void SentinelWatch::believe(Link& link, const MasterWord& word) {
  const bool is_newer = author_ == nullptr || word.epoch > epoch_;
  if (!is_newer && &link != author_ && author_->lane.is_ready()) return;
  author_ = &link;
  epoch_ = word.epoch;
  const bool is_new = view_.set_master(word.at);
  const bool has_others = view_.set_replicas(link.replicas);
  if (has_others && !is_new) on_news_();
  if (!is_new) return;
  log::info("redis: the master {} is {}:{}, says {}", context_.options.sentinels.master_name, word.at.host,
            word.at.port, link.lane.label());
  on_news_();
}

/// While no master is known and every Sentinel has said why not: the reason.
void SentinelWatch::explain() {
  if (author_ != nullptr) return;
  std::string reasons;
  for (const auto& link : links_) {
    const bool is_ready = link->lane.is_ready();
    if (is_ready ? !link->knows_no_master : link->lane.problem().empty()) return;
    if (!reasons.empty()) reasons += "; ";
    reasons += fmt::format("{}: {}", link->lane.label(),
                           is_ready ? "it knows no master of that name" : link->lane.problem());
  }
  const std::string problem = fmt::format("ERR no Sentinel says where the master {} is: {}",
                                          context_.options.sentinels.master_name, reasons);
  if (!view_.set_problem(problem)) return;
  log::error("redis: {}", problem.substr(4));
  on_news_();
}

}  // namespace larder::redis
