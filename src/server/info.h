#pragma once

#include <span>
#include <string>

#include "base/bytes.h"
#include "base/histogram.h"

namespace larder {

class Server;
struct CommandSpec;

/// The text of INFO for the sections named (`default`, `all` and `everything` among them; none: the default).
/// `keyspace` is what stands in the section of that name.
///
/// Shape:  sections and field names are those of Redis 7.0 where they mean something here, and `# Tiers`.
/// Thread: any.
[[nodiscard]] std::string info_text(Server& server, std::span<const ByteView> sections, ByteView keyspace);

/// A command's latencies over all workers.
[[nodiscard]] HistogramSnapshot latencies_of(const Server& server, const CommandSpec& spec);

}  // namespace larder
