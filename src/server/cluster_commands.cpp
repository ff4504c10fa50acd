#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "backend/redis/hash_slot.h"
#include "command/error_reply.h"
#include "command/help.h"
#include "server/connection_commands.h"
#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

// CLUSTER in front of a Redis Cluster: Larder looks like one node that serves all slots, so that
// cluster-aware clients send everything here.
namespace larder {
namespace {

constexpr std::int64_t kLastSlot = redis::kHashSlots - 1;
constexpr ByteView kNoCluster = "ERR This instance has cluster support disabled";

/// What the client may connect to again: as the configuration says, or where it has found this server.
struct Place {
  std::string host;
  std::int64_t port;
};

Place found_at(Session& session) {
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

Place place_of(Session& session) {
  const config::ServerSettings& announced = session.worker().server().settings().server;
  const std::uint16_t port =
      session.identity().is_tls ? announced.announce_tls_port : announced.announce_port;
  Place place = found_at(session);
  if (!announced.announce_host.empty()) place.host = announced.announce_host;
  if (port != 0) place.port = port;
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

/// False: the node that the request names is not this one, and that was appended.
bool names_this_node(Session& session, const Request& request) {
  const ByteView id = request.argv[2];
  if (id == session.worker().server().run_id) return true;
  request.reply.error(fmt::format("ERR Unknown node {}", id.substr(0, 128)));
  return false;
}

void replicas(Session& session, const Request& request) {
  if (names_this_node(session, request)) request.reply.begin_array(0);
}

void count_failure_reports(Session& session, const Request& request) {
  if (names_this_node(session, request)) request.reply.integer(0);
}

void links(Session&, const Request& request) {
  request.reply.begin_array(0);
}

void help(Session&, const Request& request) {
  append_help(request.reply, "cluster");
}

struct Subcommand {
  ByteView name;
  std::size_t words;                                ///< of the whole request
  void (*run)(Session&, const Request&) = nullptr;  ///< null: the master of the slot answers
};

constexpr auto kSubcommands = std::to_array<Subcommand>({{"count-failure-reports", 3, count_failure_reports},
                                                         {"countkeysinslot", 3},
                                                         {"getkeysinslot", 4},
                                                         {"help", 2, help},
                                                         {"info", 2, info},
                                                         {"keyslot", 3, key_slot},
                                                         {"links", 2, links},
                                                         {"myid", 2, my_id},
                                                         {"nodes", 2, nodes},
                                                         {"replicas", 3, replicas},
                                                         {"shards", 2, shards},
                                                         {"slaves", 3, replicas},
                                                         {"slots", 2, slots}});

Step ask_redis(Session& session, const Request& request) {
  Request unknown = request;
  unknown.spec = nullptr;
  return session.worker().backend().execute(unknown);
}

Step cluster(Session& session, const Request& request) {
  if (!session.worker().server().tier().is_cluster()) {
    request.reply.error(kNoCluster);
    return Step::done;
  }
  const auto found = std::ranges::find_if(
      kSubcommands, [&](const Subcommand& one) { return equals_ignore_case(request.argv[1], one.name); });
  if (found == kSubcommands.end())
    append_unknown_subcommand(request.reply, request.spec->name, request.argv[1]);
  else if (request.argv.size() != found->words)
    append_wrong_arity(request.reply, fmt::format("cluster|{}", found->name));
  else if (found->run == nullptr)
    return ask_redis(session, request);
  else
    found->run(session, request);
  return Step::done;
}

/// READONLY and READWRITE: reads are answered as ever, there is no other node to be sent to.
Step change_reads(Session& session, const Request& request) {
  if (session.worker().server().tier().is_cluster())
    request.reply.ok();
  else
    request.reply.error(kNoCluster);
  return Step::done;
}

constexpr ConnectionCommand kClusterCommands[] = {
    {"cluster", cluster}, {"readonly", change_reads}, {"readwrite", change_reads}};

}  // namespace

std::span<const ConnectionCommand> cluster_commands() noexcept {
  return kClusterCommands;
}

}  // namespace larder
