#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/histogram.h"

namespace larder {

class Server;

/// The text of INFO for the sections named (`default`, `all` and `everything` among them; none: the default).
/// `keyspace` is what stands in the section of that name.
///
/// Shape:  sections and field names are those of Redis 7.0 where they mean something here, and `# Tiers`.
/// Thread: any.
[[nodiscard]] std::string info_text(Server& server, std::span<const ByteView> sections, ByteView keyspace);

/// A command over all workers.
struct CommandReport {
  std::string name;
  std::uint64_t calls = 0, microseconds = 0, rejected = 0, failed = 0;
  HistogramSnapshot latency = {};
};

/// Of all commands that were asked for, by name; those too that only the server behind knows.
[[nodiscard]] std::vector<CommandReport> command_reports(const Server& server);

}  // namespace larder
