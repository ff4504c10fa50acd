#include "server/info.h"

#include <algorithm>
#include <filesystem>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <unordered_map>

#include <fmt/format.h>

#include "base/clock.h"
#include "server/connection_commands.h"
#include "server/inquiry.h"
#include "server/parameters.h"
#include "server/server.h"

namespace larder {
namespace {

/// The lines of one section.
class Lines {
 public:
  explicit Lines(std::string& text) : text_(text) {}

  template <class Value>
  void add(ByteView name, const Value& value) {
    text_ += fmt::format("{}:{}\r\n", name, value);
  }

 private:
  std::string& text_;
};

/// Sums a counter over all workers.
template <class Pick>
std::uint64_t sum(const Server& server, Pick pick) {
  std::uint64_t total = 0;
  for (const auto& worker : server.workers()) total += pick(worker->statistics());
  return total;
}

/// As Redis writes sizes for people: `918.84K`.
std::string human(std::uint64_t bytes) {
  constexpr std::string_view kUnits = "BKMGTP";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.2f}{}", value, kUnits[unit]);
}

std::uint64_t resident_bytes() {
  unsigned long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string executable() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<std::size_t>(size));
}

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

std::string parameter(Server& server, ByteView name) {
  return find_parameter(name)->get(server);
}

// --- sections ---

void server_section(Server& server, Lines& lines) {
  utsname system{};
  ::uname(&system);
  const std::int64_t uptime_s = (steady_now_us() - server.started_us) / 1'000'000;
  lines.add("redis_version", kRedisVersion);
  lines.add("larder_version", LARDER_VERSION);
  lines.add("redis_mode", server.tier().is_cluster() ? "cluster" : "standalone");
  lines.add("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  lines.add("arch_bits", sizeof(void*) * 8);
  lines.add("multiplexing_api", "epoll");
  lines.add("gcc_version", fmt::format("{}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
  lines.add("process_id", ::getpid());
  lines.add("run_id", server.run_id);
  lines.add("tcp_port", server.tcp_port());
  lines.add("server_time_usec", unix_now_us());
  lines.add("uptime_in_seconds", uptime_s);
  lines.add("uptime_in_days", uptime_s / 86'400);
  lines.add("executable", executable());
  lines.add("config_file", absolute(server.settings().config_file));
  lines.add("io_threads_active", server.workers().size() > 1 ? 1 : 0);
}

void clients_section(Server& server, Lines& lines) {
  lines.add("connected_clients", server.clients());
  lines.add("cluster_connections", 0);
  lines.add("maxclients", server.live.max_clients.load());
  lines.add("blocked_clients", sum(server, [](auto& s) { return s.blocked.load(); }));
  lines.add("tracking_clients", server.keyspace().tracked().clients());
  lines.add("monitor_clients", server.monitors.load());
}

void memory_section(Server& server, Lines& lines) {
  const struct mallinfo2 heap = ::mallinfo2();
  const std::uint64_t allocated = heap.uordblks + heap.hblkhd, dataset = server.keyspace().used_bytes();
  const std::uint64_t used = std::max(allocated, dataset), resident = resident_bytes();
  struct sysinfo machine {};
  ::sysinfo(&machine);
  const std::uint64_t total = machine.totalram * std::uint64_t{machine.mem_unit};
  const std::string limit = parameter(server, "maxmemory");
  lines.add("used_memory", used);
  lines.add("used_memory_human", human(used));
  lines.add("used_memory_rss", resident);
  lines.add("used_memory_rss_human", human(resident));
  const std::uint64_t peak = server.note_memory(used);
  lines.add("used_memory_peak", peak);
  lines.add("used_memory_peak_human", human(peak));
  lines.add("used_memory_dataset", dataset);
  lines.add("allocator_allocated", allocated);
  lines.add("total_system_memory", total);
  lines.add("total_system_memory_human", human(total));
  lines.add("maxmemory", limit);
  lines.add("maxmemory_human", human(std::stoull(limit)));
  lines.add("maxmemory_policy", parameter(server, "maxmemory-policy"));
  lines.add("mem_fragmentation_ratio",
            fmt::format("{:.2f}", static_cast<double>(resident) /
                                      static_cast<double>(std::max(used, std::uint64_t{1}))));
  lines.add("mem_allocator", "libc");
}

void persistence_section(Server&, Lines& lines) {
  for (const ByteView field :
       {"loading", "async_loading", "rdb_changes_since_last_save", "rdb_bgsave_in_progress"})
    lines.add(field, 0);
  lines.add("rdb_last_bgsave_status", "ok");
  lines.add("aof_enabled", 0);
  lines.add("aof_rewrite_in_progress", 0);
}

void stats_section(Server& server, Lines& lines) {
  const KeyspaceCounters counters = server.keyspace().counters();
  lines.add("total_connections_received", sum(server, [](auto& s) { return s.connections.get(); }));
  lines.add("total_commands_processed", sum(server, [](auto& s) { return s.commands.get(); }));
  lines.add("instantaneous_ops_per_sec", sum(server, [](auto& s) { return s.commands_per_s.load(); }));
  lines.add("total_net_input_bytes", sum(server, [](auto& s) { return s.bytes_in.get(); }));
  lines.add("total_net_output_bytes", sum(server, [](auto& s) { return s.bytes_out.get(); }));
  lines.add("rejected_connections", server.rejected_connections.load());
  lines.add("expired_keys", counters.expired);
  lines.add("evicted_keys", counters.evictions);
  lines.add("keyspace_hits", counters.hits);
  lines.add("keyspace_misses", counters.misses);
  if (!server.workers().front()->backend().has_subscriptions()) {  // a Redis behind would know
    lines.add("pubsub_channels", server.topics.count(Topic::channel));
    lines.add("pubsub_patterns", server.topics.count(Topic::pattern));
    lines.add("pubsubshard_channels", server.topics.count(Topic::shard_channel));
  }
  const TrackedKeys& tracked = server.keyspace().tracked();
  lines.add("tracking_total_keys", tracked.keys());
  lines.add("tracking_total_items", tracked.items());
  lines.add("tracking_total_prefixes", server.invalidations().prefixes());
  lines.add("protocol_errors", sum(server, [](auto& s) { return s.protocol_errors.get(); }));
  lines.add("total_error_replies", sum(server, [](auto& s) { return s.errors.total(); }));
}

void replication_section(Server& server, Lines& lines) {
  lines.add("role", "master");
  lines.add("connected_slaves", 0);
  lines.add("master_failover_state", "no-failover");
  lines.add("master_replid", server.run_id);
  lines.add("master_repl_offset", 0);
  lines.add("repl_backlog_active", 0);
}

void cpu_section(Server&, Lines& lines) {
  const auto add = [&lines](ByteView name, const timeval& time) {
    lines.add(name, fmt::format("{}.{:06}", time.tv_sec, time.tv_usec));
  };
  rusage self{}, children{};
  ::getrusage(RUSAGE_SELF, &self);
  ::getrusage(RUSAGE_CHILDREN, &children);
  add("used_cpu_sys", self.ru_stime);
  add("used_cpu_user", self.ru_utime);
  add("used_cpu_sys_children", children.ru_stime);
  add("used_cpu_user_children", children.ru_utime);
}

void modules_section(Server&, Lines&) {}

void commandstats_section(Server& server, Lines& lines) {
  for (const CommandReport& command : command_reports(server)) {
    const double per_call =
        command.calls == 0 ? 0.0
                           : static_cast<double>(command.microseconds) / static_cast<double>(command.calls);
    lines.add(fmt::format("cmdstat_{}", command.name),
              fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                          command.calls, command.microseconds, per_call, command.rejected, command.failed));
  }
}

void errorstats_section(Server& server, Lines& lines) {
  for (std::size_t i = 0; i < ErrorStatistics::kPrefixes.size(); ++i) {
    const std::uint64_t count = sum(server, [i](auto& s) { return s.errors.count(i); });
    if (count > 0)
      lines.add(fmt::format("errorstat_{}", ErrorStatistics::kPrefixes[i]), fmt::format("count={}", count));
  }
}

void latencystats_section(Server& server, Lines& lines) {
  for (const auto& [name, calls, microseconds, rejected, failed, latency] : command_reports(server)) {
    if (calls == 0) continue;
    lines.add(fmt::format("latency_percentiles_usec_{}", name),
              fmt::format("p50={}.000,p99={}.000,p99.9={}.000", latency.percentile_us(50),
                          latency.percentile_us(99), latency.percentile_us(99.9)));
  }
}

void cluster_section(Server& server, Lines& lines) {
  lines.add("cluster_enabled", server.tier().is_cluster() ? 1 : 0);
}

/// The lines of the memory backend's `# Keyspace`.
std::string keyspace_lines(Server& server) {
  std::string text;
  Lines lines(text);
  const Keyspace& keyspace = server.keyspace();
  for (int db = 0; db < static_cast<int>(server.settings().server.databases); ++db)
    if (const std::uint64_t keys = keyspace.size(db); keys > 0)
      lines.add(fmt::format("db{}", db),
                fmt::format("keys={},expires={},avg_ttl=0", keys, keyspace.expiring(db)));
  return text;
}

void tiers_section(Server& server, Lines& lines) {
  static constexpr ByteView kNames[] = {"automatic", "redis", "postgres", "memory"};
  const Keyspace& keyspace = server.keyspace();
  const KeyspaceCounters counters = keyspace.counters();
  const std::uint64_t reads = counters.hits + counters.misses;
  lines.add("backend", kNames[static_cast<std::size_t>(server.choice().kind)]);
  lines.add("backend_reason", server.choice().reason);
  lines.add("l1_enabled", keyspace.enabled() ? 1 : 0);
  lines.add("l1_entries", keyspace.entries());
  lines.add("l1_bytes", keyspace.used_bytes());
  lines.add("l1_budget_bytes", keyspace.budget_bytes());
  lines.add("l1_hits", counters.hits);
  lines.add("l1_misses", counters.misses);
  lines.add("l1_hit_ratio",
            fmt::format("{:.4f}",
                        reads == 0 ? 0.0 : static_cast<double>(counters.hits) / static_cast<double>(reads)));
  lines.add("l1_fills", counters.fills);
  lines.add("l1_refused_fills", counters.refused_fills);
  lines.add("l1_evictions", counters.evictions);
  lines.add("l1_invalidations", counters.invalidations);
  lines.add("l1_expired", counters.expired);
  for (const auto& [name, value] : server.tier().report().fields) lines.add(name, value);
}

void nodes_section(Server& server, Lines& lines) {
  for (const auto& [name, value] : server.tier().report().nodes) lines.add(name, value);
}

enum class Shown : std::uint8_t { by_default, on_request };

struct Section {
  ByteView name;  ///< lower case
  ByteView title;
  void (*write)(Server&, Lines&);  ///< null: # Keyspace, which may have to be asked for
  Shown shown;
};

constexpr Section kSections[] = {
    {"server", "Server", server_section, Shown::by_default},
    {"clients", "Clients", clients_section, Shown::by_default},
    {"memory", "Memory", memory_section, Shown::by_default},
    {"persistence", "Persistence", persistence_section, Shown::by_default},
    {"stats", "Stats", stats_section, Shown::by_default},
    {"replication", "Replication", replication_section, Shown::by_default},
    {"cpu", "CPU", cpu_section, Shown::by_default},
    {"modules", "Modules", modules_section, Shown::by_default},
    {"commandstats", "Commandstats", commandstats_section, Shown::on_request},
    {"errorstats", "Errorstats", errorstats_section, Shown::by_default},
    {"latencystats", "Latencystats", latencystats_section, Shown::on_request},
    {"cluster", "Cluster", cluster_section, Shown::by_default},
    {"tiers", "Tiers", tiers_section, Shown::by_default},
    {"nodes", "Nodes", nodes_section, Shown::by_default},
    {"keyspace", "Keyspace", nullptr, Shown::by_default},
};

bool is_wanted(const Section& section, std::span<const ByteView> names) {
  if (names.empty()) return section.shown == Shown::by_default;
  return std::ranges::any_of(names, [&](ByteView name) {
    if (equals_ignore_case(name, "all") || equals_ignore_case(name, "everything")) return true;
    if (equals_ignore_case(name, "default")) return section.shown == Shown::by_default;
    return equals_ignore_case(name, section.name);
  });
}

/// The `dbN:` lines of what a backend answered to INFO keyspace; nothing of an error.
ByteView lines_of(ByteView reply) {
  const std::size_t from = reply.find("\ndb");
  return from == ByteView::npos ? ByteView() : reply.substr(from + 1, reply.rfind("\r\n") - from - 1);
}

/// Keys that lie behind us are counted by the backend: the reply waits for it.
Step ask_backend(Session& session, const Request& request) {
  const Ticket ticket = session.defer();
  std::vector<Bytes> owned(request.argv.begin() + 1, request.argv.end());
  Inquiry::ask_keyspace(session.worker(), [&session, ticket, owned = std::move(owned)](ByteView reply) {
    const std::vector<ByteView> names(owned.begin(), owned.end());
    session.reply_to(ticket).verbatim("txt", info_text(session.worker().server(), names, lines_of(reply)));
    session.finish(ticket);
  });
  return Step::pending;
}

Step tell_info(Session& session, const Request& request) {
  Server& server = session.worker().server();
  const auto names = request.argv.subspan(1);
  const Section& keyspace = *std::ranges::find(kSections, "keyspace", &Section::name);
  const bool lies_behind = server.choice().kind != config::BackendKind::memory;
  if (lies_behind && is_wanted(keyspace, names)) return ask_backend(session, request);
  request.reply.verbatim("txt", info_text(server, names, lies_behind ? "" : keyspace_lines(server)));
  return Step::done;
}

constexpr ConnectionCommand kInfoCommands[] = {{"info", tell_info}};

}  // namespace

std::string info_text(Server& server, std::span<const ByteView> names, ByteView keyspace) {
  std::string text;
  Lines lines(text);
  for (const Section& section : kSections) {
    if (!is_wanted(section, names)) continue;
    if (!text.empty()) text += "\r\n";
    text += fmt::format("# {}\r\n", section.title);
    if (section.write != nullptr)
      section.write(server, lines);
    else
      text += keyspace;
  }
  return text;
}

std::vector<CommandReport> command_reports(const Server& server) {
  std::vector<CommandReport> reports;
  std::unordered_map<ByteView, std::size_t> index;
  for (const auto& worker : server.workers())
    worker->statistics().for_each_command([&](ByteView name, const CommandStatistics& command) {
      if (command.calls.get() == 0 && command.rejected.get() == 0) return;
      const auto [found, is_new] = index.try_emplace(name, reports.size());
      if (is_new) reports.push_back({.name = std::string(name)});
      CommandReport& report = reports[found->second];
      report.calls += command.calls.get();
      report.microseconds += command.microseconds.get();
      report.rejected += command.rejected.get();
      report.failed += command.failed.get();
      if (const Histogram* histogram = command.histogram()) report.latency.merge(histogram->snapshot());
    });
  std::ranges::sort(reports, {}, &CommandReport::name);
  return reports;
}

std::span<const ConnectionCommand> info_commands() noexcept {
  return kInfoCommands;
}

}  // namespace larder
