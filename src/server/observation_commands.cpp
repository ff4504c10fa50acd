#include <algorithm>
#include <charconv>
#include <malloc.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "command/error_reply.h"
#include "command/help.h"
#include "server/connection_commands.h"
#include "server/info.h"
#include "server/server.h"
#include "server/session.h"
#include "value/number.h"

namespace larder {
namespace {

// --- SLOWLOG ---

/// What follows the six fields of Redis' entries, which some clients take for all there can be.
enum class Extra : std::uint8_t { nothing, split };

void append_split(ReplyWriter& reply, const Slowlog::Split& split) {
  reply.begin_map(3);
  for (const auto& [name, us] :
       {std::pair("l1", split.l1_us), {"queue", split.queue_us}, {"upstream", split.upstream_us}}) {
    reply.bulk(name);
    reply.integer(us);
  }
}

void append_entry(ReplyWriter& reply, const Slowlog::Entry& entry, Extra extra) {
  reply.begin_array(extra == Extra::split ? 7 : 6);
  reply.integer(static_cast<std::int64_t>(entry.id));
  reply.integer(entry.at_seconds);
  reply.integer(entry.duration_us);
  reply.begin_array(entry.argv.size());
  for (const std::string& argument : entry.argv) reply.bulk(argument);
  reply.bulk(entry.client_address);
  reply.bulk(entry.client_name);
  if (extra == Extra::split) append_split(reply, entry.split);
}

/// SLOWLOG GET [count] and LARDER SLOWLOG [count].
template <Extra kExtra>
Step slowlog_get(Session& session, const Request& request) {
  constexpr std::int64_t kDefaultCount = 10;
  const auto count = request.argv.size() > 2 ? parse_integer(request.argv[2]) : kDefaultCount;
  if (request.argv.size() > 3) {
    append_subcommand_syntax(request.reply, request.argv);
  } else if (!count || *count < -1) {
    request.reply.error("ERR count should be greater than or equal to -1");
  } else {
    const auto entries = session.worker().server().slowlog.newest(static_cast<std::size_t>(*count));
    request.reply.begin_array(entries.size());
    for (const Slowlog::Entry& entry : entries) append_entry(request.reply, entry, kExtra);
  }
  return Step::done;
}

Step slowlog_len(Session& session, const Request& request) {
  request.reply.integer(static_cast<std::int64_t>(session.worker().server().slowlog.size()));
  return Step::done;
}

Step slowlog_reset(Session& session, const Request& request) {
  session.worker().server().slowlog.clear();
  request.reply.ok();
  return Step::done;
}

// --- LATENCY ---

/// Upper bounds in Redis' histogram: powers of two of 1024 ns with two digits of precision.
constexpr std::uint64_t bound_us(int step) noexcept {
  return ((std::uint64_t{1032} << step) - 1) / 1000;
}

/// Pairs of an upper bound and how many calls took at most that long; only where the number grows.
void append_distribution(ReplyWriter& reply, const HistogramSnapshot& latencies) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> steps;
  const std::uint64_t total = latencies.count();
  for (std::uint64_t step = 0, counted = 0; counted < total; ++step) {
    constexpr std::uint64_t kLastStep = 30;
    const std::uint64_t bound = bound_us(static_cast<int>(step));
    const std::uint64_t up_to = step == kLastStep ? total : latencies.count_up_to(bound);
    if (up_to > counted) steps.emplace_back(bound, up_to);
    counted = std::max(counted, up_to);
  }
  reply.begin_map(steps.size());
  for (const auto& [bound, count] : steps) {
    reply.integer(static_cast<std::int64_t>(bound));
    reply.integer(static_cast<std::int64_t>(count));
  }
}

/// The command or, of a container, all its subcommands.
bool is_named(ByteView command, ByteView name) noexcept {
  const ByteView container = command.substr(0, command.find('|'));
  return equals_ignore_case(name, command) || equals_ignore_case(name, container);
}

Step latency_histogram(Session& session, const Request& request) {
  const auto names = request.argv.subspan(2);
  std::vector<CommandReport> reports = command_reports(session.worker().server());
  std::erase_if(reports, [&](const CommandReport& command) {
    const auto matches = [&](ByteView name) { return is_named(command.name, name); };
    return command.calls == 0 || (!names.empty() && std::ranges::none_of(names, matches));
  });
  ReplyWriter& reply = request.reply;
  reply.begin_map(reports.size());
  for (const CommandReport& command : reports) {
    reply.bulk(command.name);
    reply.begin_map(2);
    reply.bulk("calls");
    reply.integer(static_cast<std::int64_t>(command.latency.count()));
    reply.bulk("histogram_usec");
    append_distribution(reply, command.latency);
  }
  return Step::done;
}

// Larder has no latency monitor: to tools it is one that never saw an event.

Step no_events(Session&, const Request& request) {
  request.reply.begin_array(0);
  return Step::done;
}

Step latency_graph(Session&, const Request& request) {
  request.reply.error(fmt::format("ERR No samples available for event '{}'", request.argv[2].substr(0, 128)));
  return Step::done;
}

Step latency_reset(Session&, const Request& request) {
  request.reply.integer(0);
  return Step::done;
}

Step latency_doctor(Session&, const Request& request) {
  request.reply.verbatim(
      "txt",
      "There is no latency monitor here. LATENCY HISTOGRAM and SLOWLOG GET tell which commands "
      "were slow, INFO tiers how fast the backend answers.\n");
  return Step::done;
}

// --- MEMORY, apart from USAGE ---

Step memory_doctor(Session& session, const Request& request) {
  const Keyspace& keyspace = session.worker().server().keyspace();
  request.reply.verbatim(
      "txt",
      fmt::format("The keyspace holds {} bytes in {} entries, of a budget of {} bytes; {} were evicted.\n",
                  keyspace.used_bytes(), keyspace.entries(), keyspace.budget_bytes(),
                  keyspace.counters().evictions));
  return Step::done;
}

Step memory_stats(Session& session, const Request& request) {
  const Keyspace& keyspace = session.worker().server().keyspace();
  const std::uint64_t used = keyspace.used_bytes(), entries = keyspace.entries();
  const std::pair<ByteView, std::uint64_t> fields[] = {
      {"total.allocated", ::mallinfo2().uordblks},
      {"keys.count", entries},
      {"keys.bytes-per-key", entries == 0 ? 0 : used / entries},
      {"dataset.bytes", used},
      {"allocator.allocated", ::mallinfo2().uordblks},
  };
  request.reply.begin_map(std::size(fields));
  for (const auto& [name, value] : fields) {
    request.reply.bulk(name);
    request.reply.integer(static_cast<std::int64_t>(value));
  }
  return Step::done;
}

Step memory_purge(Session&, const Request& request) {
  ::malloc_trim(0);
  request.reply.ok();
  return Step::done;
}

Step memory_malloc_stats(Session&, const Request& request) {
  const struct mallinfo2 heap = ::mallinfo2();
  request.reply.verbatim("txt",
                         fmt::format("libc: {} bytes in use, {} free in the heap, {} mapped in {} blocks\n",
                                     heap.uordblks, heap.fordblks, heap.hblkhd, heap.hblks));
  return Step::done;
}

// --- MONITOR and DEBUG ---

Step monitor(Session& session, const Request& request) {
  request.reply.ok();
  if (session.state.monitoring) return Step::done;
  session.state.monitoring = true;
  ++session.worker().monitors;
  ++session.worker().server().monitors;
  return Step::done;
}

/// Only the client that asked has to wait.
Step answer_later(Session& session, double seconds) {
  constexpr double kLongest = 1e6;
  const Ticket ticket = session.defer();
  const auto timer = std::make_shared<boost::asio::steady_timer>(session.worker().io());
  timer->expires_after(
      std::chrono::microseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, kLongest) * 1e6)));
  timer->async_wait([timer, &session, ticket](const boost::system::error_code&) {
    session.reply_to(ticket).ok();
    session.finish(ticket);
  });
  return Step::pending;
}

Step debug(Session& session, const Request& request) {
  const auto argv = request.argv;
  const ByteView subcommand = argv[1];
  if (equals_ignore_case(subcommand, "help") && argv.size() == 2) {
    append_help(request.reply, "debug");
  } else if (equals_ignore_case(subcommand, "sleep") && argv.size() == 3) {
    double seconds = 0;  // as in Redis, what is not a number is no time at all
    std::from_chars(argv[2].data(), argv[2].data() + argv[2].size(), seconds);
    return answer_later(session, seconds);
  } else if (equals_ignore_case(subcommand, "set-active-expire") && argv.size() == 3) {
    request.reply.ok();
  } else {
    append_subcommand_syntax(request.reply, argv);
  }
  return Step::done;
}

constexpr ConnectionCommand kObservationCommands[] = {
    {"debug", debug},
    {"larder|slowlog", slowlog_get<Extra::split>},
    {"latency|doctor", latency_doctor},
    {"latency|graph", latency_graph},
    {"latency|help", answer_help},
    {"latency|histogram", latency_histogram},
    {"latency|history", no_events},
    {"latency|latest", no_events},
    {"latency|reset", latency_reset},
    {"memory|doctor", memory_doctor},
    {"memory|malloc-stats", memory_malloc_stats},
    {"memory|purge", memory_purge},
    {"memory|stats", memory_stats},
    {"monitor", monitor},
    {"slowlog|get", slowlog_get<Extra::nothing>},
    {"slowlog|help", answer_help},
    {"slowlog|len", slowlog_len},
    {"slowlog|reset", slowlog_reset},
};

}  // namespace

Step answer_help(Session&, const Request& request) {
  const ByteView name = request.spec->name;
  append_help(request.reply, name.substr(0, name.find('|')));
  return Step::done;
}

std::span<const ConnectionCommand> observation_commands() noexcept {
  return kObservationCommands;
}

}  // namespace larder
