#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "backend/redis/hash_slot.h"
#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

// CLUSTER in front of a Redis Cluster: Larder looks like one node that serves all slots, so that
// cluster-aware clients send everything here.
namespace larder {
namespace {

constexpr std::int64_t kLastSlot = redis::kHashSlots - 1;

/// Where the client has found this server: what it may connect to again.
struct Place {
  std::string host;
  std::int64_t port;
};

Place place_of(Session& session) {
  const ClientIdentity& identity = session.identity();
  Place place{"127.0.0.1", session.worker().server().tcp_port()};
  const std::size_t colon = identity.local_address.rfind(':');
  if (identity.is_unix || colon == std::string::npos) return place;
  place.host = identity.local_address.substr(0, colon);
  if (place.host.starts_with('[')) place.host = place.host.substr(1, place.host.size() - 2);
  std::from_chars(identity.local_address.data() + colon + 1,
                  identity.local_address.data() + identity.local_address.size(), place.port);
  return place;
}

void slots(Session& session, const Request& request) {
  const Place place = place_of(session);
  ReplyWriter& reply = request.reply;
  reply.begin_array(1);
  reply.begin_array(3);
  reply.integer(0);
  reply.integer(kLastSlot);
  reply.begin_array(4);
  reply.bulk(place.host);
  reply.integer(place.port);
  reply.bulk(session.worker().server().run_id);
  reply.begin_map(0);
}

void shards(Session& session, const Request& request) {
  const Place place = place_of(session);
  ReplyWriter& reply = request.reply;
  reply.begin_array(1);
  reply.begin_map(2);
  reply.bulk("slots");
  reply.begin_array(2);
  reply.integer(0);
  reply.integer(kLastSlot);
  reply.bulk("nodes");
  reply.begin_array(1);
  reply.begin_map(7);
  const auto field = [&reply](ByteView name, ByteView value) {
    reply.bulk(name);
    reply.bulk(value);
  };
  field("id", session.worker().server().run_id);
  reply.bulk("port");
  reply.integer(place.port);
  field("ip", place.host);
  field("endpoint", place.host);
  field("role", "master");
  reply.bulk("replication-offset");
  reply.integer(0);
  field("health", "online");
}

void nodes(Session& session, const Request& request) {
  const Place place = place_of(session);
  request.reply.verbatim("txt",
                         fmt::format("{} {}:{}@0 myself,master - 0 0 1 connected 0-{}\n",
                                     session.worker().server().run_id, place.host, place.port, kLastSlot));
}

void info(Session&, const Request& request) {
  request.reply.verbatim(
      "txt", fmt::format("cluster_state:ok\r\ncluster_slots_assigned:{0}\r\ncluster_slots_ok:{0}\r\n"
                         "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:1\r\n"
                         "cluster_size:1\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\n"
                         "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
                         "total_cluster_links_buffer_limit_exceeded:0\r\n",
                         kLastSlot + 1));
}

void my_id(Session& session, const Request& request) {
  request.reply.bulk(session.worker().server().run_id);
}

void key_slot(Session&, const Request& request) {
  request.reply.integer(redis::hash_slot(request.argv[2]));
}

struct Subcommand {
  ByteView name;
  std::size_t words;  ///< of the whole request
  void (*run)(Session&, const Request&);
};

constexpr auto kSubcommands = std::to_array<Subcommand>({{"info", 2, info},
                                                         {"keyslot", 3, key_slot},
                                                         {"myid", 2, my_id},
                                                         {"nodes", 2, nodes},
                                                         {"shards", 2, shards},
                                                         {"slots", 2, slots}});

Step cluster(Session& session, const Request& request) {
  if (!session.worker().server().tier().is_cluster()) {
    request.reply.error("ERR This instance has cluster support disabled");
    return Step::done;
  }
  const auto found = std::ranges::find_if(
      kSubcommands, [&](const Subcommand& one) { return equals_ignore_case(request.argv[1], one.name); });
  if (found == kSubcommands.end())
    append_unknown_subcommand(request.reply, request.spec->name, request.argv[1]);
  else if (request.argv.size() != found->words)
    append_wrong_arity(request.reply, fmt::format("cluster|{}", found->name));
  else
    found->run(session, request);
  return Step::done;
}

constexpr ConnectionCommand kClusterCommands[] = {{"cluster", cluster}};

}  // namespace

std::span<const ConnectionCommand> cluster_commands() noexcept {
  return kClusterCommands;
}

}  // namespace larder
