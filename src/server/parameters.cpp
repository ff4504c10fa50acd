#include "server/parameters.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"
#include "base/units.h"
#include "server/server.h"
#include "value/number.h"

namespace larder {
namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<int>::max();
constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMebibyte = 1 << 20;

ParameterChange refused(std::string error) {
  return {.error = std::move(error)};
}

ParameterChange accepted(std::function<void()> apply) {
  return {.apply = std::move(apply)};
}

ParameterChange one_of(std::string_view words) {
  return refused(fmt::format("argument(s) must be one of the following: {}", words));
}

// --- numbers that workers read while they change ---

template <auto kMember>
std::string live(Server& server) {
  return std::to_string((server.live.*kMember).load());
}

template <auto kMember>
ParameterChange change_live(Server& server, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    return refused(fmt::format("argument must be between {} and {} inclusive", least, most));
  return accepted([&server, value] {
    auto& member = server.live.*kMember;
    member = static_cast<typename std::remove_reference_t<decltype(member)>::value_type>(value);
  });
}

template <auto kMember, std::int64_t kLeast, std::int64_t kMost>
ParameterChange change_number(Server& server, ByteView text) {
  const auto value = parse_integer(text);
  if (!value) return refused("argument couldn't be parsed into an integer");
  return change_live<kMember>(server, *value, kLeast, kMost);
}

template <auto kMember, std::int64_t kLeast, std::int64_t kMost>
ParameterChange change_bytes(Server& server, ByteView text) {
  const auto value = parse_byte_size(text);
  if (!value) return refused("argument must be a memory value");
  return change_live<kMember>(server, static_cast<std::int64_t>(*value), kLeast, kMost);
}

ParameterChange change_maxclients(Server& server, ByteView text) {
  ParameterChange change = change_number<&LiveSettings::max_clients, 1, 0xffffffff>(server, text);
  if (!change.error.empty()) return change;
  const auto wanted = static_cast<std::uint64_t>(*parse_integer(text));
  const std::uint64_t room = server.room_for(wanted);
  if (room == wanted) return change;
  return refused(fmt::format(
      "The operating system is not able to handle the specified number of clients, try with {}", room));
}

// --- memory ---

bool is_memory_backend(const Server& server) {
  return server.choice().kind == config::BackendKind::memory;
}

// What Redis calls "no limit", as a budget.
constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 62;

std::string maxmemory(Server& server) {
  const std::uint64_t budget = server.keyspace().budget_bytes();
  return std::to_string(budget == kUnlimited ? 0 : budget);
}

ParameterChange change_maxmemory(Server& server, ByteView text) {
  const auto value = parse_byte_size(text);
  if (!value) return refused("argument must be a memory value");
  const bool is_store = is_memory_backend(server);
  if (!is_store && !server.keyspace().enabled())
    return refused("the L1 was turned off when the server started");
  if (!is_store && *value == 0) return refused("the L1 cannot be turned off while the server runs");
  return accepted(
      [&server, bytes = *value == 0 ? kUnlimited : *value] { server.keyspace().set_budget(bytes); });
}

struct PolicyName {
  ByteView name;
  Eviction eviction;
};

// S3-FIFO counts hits: of Redis' policies LFU is the one it is like.
constexpr PolicyName kPolicies[] = {
    {"allkeys-lfu", Eviction::s3fifo}, {"allkeys-lru", Eviction::lru}, {"noeviction", Eviction::none}};

std::string maxmemory_policy(Server& server) {
  return std::string(std::ranges::find(kPolicies, server.keyspace().eviction(), &PolicyName::eviction)->name);
}

ParameterChange change_maxmemory_policy(Server& server, ByteView text) {
  const auto is_named = [text](const PolicyName& policy) { return equals_ignore_case(text, policy.name); };
  const auto* policy = std::ranges::find_if(kPolicies, is_named);
  if (policy == std::end(kPolicies)) return one_of("allkeys-lfu, allkeys-lru, noeviction");
  if (policy->eviction == Eviction::none && !is_memory_backend(server))
    return refused("noeviction is for the memory backend: in front of another one the memory is a cache");
  return accepted([&server, eviction = policy->eviction] { server.keyspace().set_eviction(eviction); });
}

// --- output buffers ---

std::string bounds_text(std::string_view client_class, const OutputBounds& bounds) {
  return fmt::format("{} {} {} {}", client_class, bounds.hard_bytes.load(), bounds.soft_bytes.load(),
                     bounds.soft_s.load());
}

std::string output_limits(Server& server) {
  return bounds_text("normal", server.live.normal_output) + " slave 0 0 0 " +
         bounds_text("pubsub", server.live.pubsub_output);
}

std::vector<ByteView> words_of(ByteView text) {
  std::vector<ByteView> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

OutputBounds* bounds_of(Server& server, ByteView client_class) {
  static OutputBounds replicas;  // there are none: what is set for them is read by no one
  if (equals_ignore_case(client_class, "normal")) return &server.live.normal_output;
  if (equals_ignore_case(client_class, "pubsub")) return &server.live.pubsub_output;
  const bool known = equals_ignore_case(client_class, "slave") || equals_ignore_case(client_class, "replica");
  return known ? &replicas : nullptr;
}

ParameterChange change_output_limits(Server& server, ByteView text) {
  const std::vector<ByteView> words = words_of(text);
  if (words.empty() || words.size() % 4 != 0)
    return refused("Wrong number of arguments in buffer limit configuration.");
  std::vector<std::function<void()>> changes;
  for (std::size_t i = 0; i < words.size(); i += 4) {
    OutputBounds* const bounds = bounds_of(server, words[i]);
    if (bounds == nullptr) return refused("Invalid client class specified in buffer limit configuration.");
    const auto hard = parse_byte_size(words[i + 1]), soft = parse_byte_size(words[i + 2]);
    const auto seconds = parse_integer(words[i + 3]);
    if (!hard || !soft || !seconds || *seconds < 0)
      return refused("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    changes.emplace_back([=] {
      bounds->hard_bytes = *hard;
      bounds->soft_bytes = *soft;
      bounds->soft_s = *seconds;
    });
  }
  return accepted([changes] {
    for (const auto& change : changes) change();
  });
}

// --- words ---

std::string loglevel(Server&) {
  if (log::enabled(LogLevel::debug)) return "debug";
  return log::enabled(LogLevel::info) ? "notice" : "warning";
}

ParameterChange change_loglevel(Server&, ByteView text) {
  struct LevelName {
    ByteView name;
    LogLevel level;
  };
  static constexpr LevelName kLevels[] = {{"debug", LogLevel::debug},
                                          {"verbose", LogLevel::debug},
                                          {"notice", LogLevel::info},
                                          {"warning", LogLevel::warning}};
  for (const LevelName& known : kLevels)
    if (equals_ignore_case(text, known.name))
      return accepted([level = known.level] { log::set_level(level); });
  return one_of("debug, verbose, notice, warning");
}

std::string requirepass(Server& server) {
  return server.password();
}

ParameterChange change_requirepass(Server& server, ByteView text) {
  return accepted([&server, password = std::string(text)] { server.set_password(password); });
}

// --- what Redis can and Larder does not: asked by tools, and settable to what it is without a Redis ---

std::string no(Server&) {
  return "no";
}

std::string yes(Server&) {
  return "yes";
}

std::string nothing(Server&) {
  return "";
}

std::string zero(Server&) {
  return "0";
}

ParameterChange only_no(Server&, ByteView text) {
  if (equals_ignore_case(text, "no")) return accepted([] {});
  return refused(equals_ignore_case(text, "yes") ? "not supported by this server"
                                                 : "argument must be 'yes' or 'no'");
}

ParameterChange only_yes(Server&, ByteView text) {
  if (equals_ignore_case(text, "yes")) return accepted([] {});
  return refused(equals_ignore_case(text, "no") ? "not supported by this server"
                                                : "argument must be 'yes' or 'no'");
}

ParameterChange only_nothing(Server&, ByteView text) {
  return text.empty() ? accepted([] {}) : refused("not supported by this server");
}

ParameterChange only_zero(Server&, ByteView text) {
  return text == "0" ? accepted([] {}) : refused("not supported by this server");
}

// --- fixed at start ---

std::string bind(Server& server) {
  return fmt::format("{}", fmt::join(server.settings().server.bind, " "));
}

std::string port(Server& server) {
  return std::to_string(server.tcp_port());
}

std::string tls_port(Server& server) {
  return std::to_string(server.tls_port());
}

std::string databases(Server& server) {
  return std::to_string(server.settings().server.databases);
}

std::string unixsocket(Server& server) {
  return server.settings().server.unixsocket;
}

std::string unixsocketperm(Server& server) {
  return fmt::format("{:o}", server.settings().server.unixsocket_mode);
}

std::string protected_mode(Server& server) {
  return server.settings().server.allow_unprotected ? "no" : "yes";
}

std::string io_threads(Server& server) {
  return std::to_string(server.workers().size());
}

using Live = LiveSettings;

std::string tracking_table_max_keys(Server& server) {
  return std::to_string(server.keyspace().tracked().most_keys());
}

ParameterChange change_tracking_table_max_keys(Server& server, ByteView text) {
  const auto value = parse_integer(text);
  if (!value) return refused("argument couldn't be parsed into an integer");
  if (*value < 0) return refused(fmt::format("argument must be between {} and {} inclusive", 0, kMaxInt64));
  return accepted([&server, value = static_cast<std::uint64_t>(*value)] {
    server.keyspace().tracked().set_most_keys(value);
  });
}

constexpr Parameter kParameters[] = {
    {"appendonly", no, only_no, true},
    {"bind", bind, nullptr},
    {"client-output-buffer-limit", output_limits, change_output_limits},
    {"client-query-buffer-limit", live<&Live::query_buffer_limit>,
     change_bytes<&Live::query_buffer_limit, kMebibyte, kMaxInt64>},
    {"cluster-enabled", no, nullptr, true},
    {"daemonize", no, nullptr},
    {"databases", databases, nullptr},
    {"io-threads", io_threads, nullptr},
    {"latency-monitor-threshold", zero, only_zero, true},
    {"latency-tracking", yes, only_yes},
    {"loglevel", loglevel, change_loglevel},
    {"maxclients", live<&Live::max_clients>, change_maxclients},
    {"maxmemory", maxmemory, change_maxmemory},
    {"maxmemory-policy", maxmemory_policy, change_maxmemory_policy},
    {"notify-keyspace-events", nothing, only_nothing, true},
    {"port", port, nullptr},
    {"protected-mode", protected_mode, nullptr},
    {"proto-max-bulk-len", live<&Live::max_bulk_bytes>,
     change_bytes<&Live::max_bulk_bytes, kMebibyte, kMaxInt64>},
    {"requirepass", requirepass, change_requirepass},
    {"save", nothing, only_nothing, true},
    {"slowlog-log-slower-than", live<&Live::slowlog_slower_than_us>,
     change_number<&Live::slowlog_slower_than_us, -1, kMaxInt64>},
    {"slowlog-max-len", live<&Live::slowlog_max_len>, change_number<&Live::slowlog_max_len, 0, kMaxInt64>},
    {"tcp-keepalive", live<&Live::tcp_keepalive_s>, change_number<&Live::tcp_keepalive_s, 0, kMaxInt>},
    {"timeout", live<&Live::idle_timeout_s>, change_number<&Live::idle_timeout_s, 0, kMaxInt>},
    {"tls-port", tls_port, nullptr},
    {"tracking-table-max-keys", tracking_table_max_keys, change_tracking_table_max_keys},
    {"unixsocket", unixsocket, nullptr},
    {"unixsocketperm", unixsocketperm, nullptr},
};

}  // namespace

std::span<const Parameter> all_parameters() noexcept {
  return kParameters;
}

const Parameter* find_parameter(ByteView name) noexcept {
  for (const Parameter& parameter : kParameters)
    if (equals_ignore_case(name, parameter.name)) return &parameter;
  return nullptr;
}

}  // namespace larder
