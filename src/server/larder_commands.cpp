#include <algorithm>
#include <map>

#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/gather.h"
#include "value/number.h"

namespace larder {
namespace {

constexpr std::int64_t kDefaultHotKeys = 10;

/// One entry a key: each worker has counted its own clients.
std::vector<HotKeys::Entry> merged(const std::vector<HotKeys::Entry>& entries, std::size_t most) {
  std::map<std::pair<int, ByteView>, double> rates;
  for (const HotKeys::Entry& entry : entries) rates[{entry.db, entry.key}] += entry.requests_per_second;
  std::vector<HotKeys::Entry> hottest;
  for (const auto& [key, rate] : rates) hottest.push_back({key.first, Bytes(key.second), rate});
  std::ranges::sort(hottest, std::greater(), &HotKeys::Entry::requests_per_second);
  if (hottest.size() > most) hottest.resize(most);
  return hottest;
}

/// LARDER HOTKEYS [COUNT n]: triples of key, database and requests per second.
Step hotkeys(Session& session, const Request& request) {
  const auto argv = request.argv;
  std::int64_t count = kDefaultHotKeys;
  if (argv.size() == 4 && equals_ignore_case(argv[2], "count")) {
    const auto given = parse_integer(argv[3]);
    if (!given || *given < 1) {
      append_error(request.reply, Errc::not_an_integer);
      return Step::done;
    }
    count = *given;
  } else if (argv.size() != 2) {
    append_error(request.reply, Errc::syntax);
    return Step::done;
  }
  return gather<HotKeys::Entry>(
      session,
      [](Worker& worker, std::vector<HotKeys::Entry>& all) {
        std::ranges::move(worker.hot_keys().entries(), std::back_inserter(all));
      },
      [count](ReplyWriter& reply, std::vector<HotKeys::Entry>& all) {
        const auto hottest = merged(all, static_cast<std::size_t>(count));
        reply.begin_array(hottest.size());
        for (const HotKeys::Entry& entry : hottest) {
          reply.begin_array(3);
          reply.bulk(entry.key);
          reply.integer(entry.db);
          reply.integer(static_cast<std::int64_t>(entry.requests_per_second + 0.5));
        }
      });
}

constexpr ConnectionCommand kLarderCommands[] = {
    {"larder|help", answer_help},
    {"larder|hotkeys", hotkeys},
};

}  // namespace

std::span<const ConnectionCommand> larder_commands() noexcept {
  return kLarderCommands;
}

}  // namespace larder
