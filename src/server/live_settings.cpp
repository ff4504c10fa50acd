#include "server/live_settings.h"

#include <algorithm>

#include "base/log.h"
#include "config/keys.h"
#include "server/server.h"

namespace larder {
namespace {

using config::Settings;

void set_bounds(OutputBounds& bounds, const config::OutputLimit& limit) {
  bounds.hard_bytes = limit.hard_bytes;
  bounds.soft_bytes = limit.soft_bytes;
  bounds.soft_s = limit.soft_time.count();
}

/// A key that can change while the process runs.
struct LiveKey {
  std::string_view name;
  bool (*apply)(Server&, const Settings&);  ///< false: not to this value
};

/// The budget may change; whether there is an L1 at all is decided at start.
bool apply_memory(Server& server, const Settings& settings) {
  if (server.keyspace().enabled() != (settings.l1.memory_bytes > 0)) return false;
  if (server.keyspace().enabled()) server.keyspace().set_budget(settings.l1.memory_bytes);
  return true;
}

bool apply_in_workers(Server& server, const Settings& settings) {
  for (const auto& worker : server.workers())
    worker->post([&worker, settings] { worker->backend().adopt(settings); });
  return true;
}

constexpr LiveKey kLiveKeys[] = {
    {"log_level",
     [](Server&, const Settings& s) {
       log::set_level(s.log_level);
       return true;
     }},
    {"server.requirepass",
     [](Server& server, const Settings& s) {
       server.set_password(s.server.requirepass);
       return true;
     }},
    {"server.maxclients",
     [](Server& server, const Settings& s) {
       server.live.max_clients = s.server.max_clients;
       return true;
     }},
    {"server.timeout",
     [](Server& server, const Settings& s) {
       server.live.idle_timeout_s = s.server.timeout.count();
       return true;
     }},
    {"server.tcp_keepalive",
     [](Server& server, const Settings& s) {
       server.live.tcp_keepalive_s = s.server.tcp_keepalive.count();
       return true;
     }},
    {"server.proto_max_bulk_len",
     [](Server& server, const Settings& s) {
       server.live.max_bulk_bytes = static_cast<std::int64_t>(s.server.max_bulk_bytes);
       return true;
     }},
    {"server.client_query_buffer_limit",
     [](Server& server, const Settings& s) {
       server.live.query_buffer_limit = s.server.query_buffer_limit_bytes;
       return true;
     }},
    {"server.normal_output_limit",
     [](Server& server, const Settings& s) {
       set_bounds(server.live.normal_output, s.server.normal_output_limit);
       return true;
     }},
    {"server.pubsub_output_limit",
     [](Server& server, const Settings& s) {
       set_bounds(server.live.pubsub_output, s.server.pubsub_output_limit);
       return true;
     }},
    {"server.slowlog_log_slower_than",
     [](Server& server, const Settings& s) {
       const auto& slower_than = s.server.slowlog_slower_than;
       server.live.slowlog_slower_than_us = slower_than ? slower_than->count() : -1;
       return true;
     }},
    {"server.slowlog_max_len",
     [](Server& server, const Settings& s) {
       server.live.slowlog_max_len = s.server.slowlog_max_len;
       return true;
     }},
    {"l1.memory", apply_memory},
    {"l1.eviction",
     [](Server& server, const Settings& s) {
       server.keyspace().set_eviction(eviction_of(s.l1.eviction));
       return true;
     }},
    {"l1.untracked_ttl", apply_in_workers},
    {"l1.max_ttl", apply_in_workers},
    {"l1.negative_ttl", apply_in_workers},
    {"l1.stale_on_error", apply_in_workers},
    {"l1.ttl_jitter", apply_in_workers},
    {"l1.deny", apply_in_workers},
    {"l1.observe", apply_in_workers},
    {"l1.cache", apply_in_workers},
    {"redis.command_timeout", apply_in_workers},
    {"redis.ping_interval", apply_in_workers},
    {"redis.ping_timeout", apply_in_workers},
    {"redis.breaker_failures", apply_in_workers},
    {"redis.breaker_window", apply_in_workers},
    {"redis.breaker_pause", apply_in_workers},
    {"redis.max_in_flight", apply_in_workers},
};

}  // namespace

void apply_live_settings(Server& server, const Settings& settings) {
  for (const LiveKey& key : kLiveKeys)
    if (key.name.starts_with("server.")) key.apply(server, settings);
}

Reloaded reload(Server& server, const Settings& started, const Settings& last, const Settings& fresh) {
  Reloaded result;
  for (const config::Key& key : config::keys()) {
    const auto* live = std::ranges::find(kLiveKeys, key.name, &LiveKey::name);
    const bool is_live = live != std::end(kLiveKeys);
    if (key.text(is_live ? last : started) == key.text(fresh)) continue;
    const bool in_force = is_live && live->apply(server, fresh);
    (in_force ? result.in_force : result.after_restart).emplace_back(key.name);
  }
  return result;
}

Eviction eviction_of(config::Eviction setting) noexcept {
  switch (setting) {
    case config::Eviction::lru:
      return Eviction::lru;
    case config::Eviction::noeviction:
      return Eviction::none;
    case config::Eviction::s3fifo:
      break;
  }
  return Eviction::s3fifo;
}

}  // namespace larder
