#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace larder {

class Session;

/// Which clients CLIENT LIST and CLIENT KILL mean; what is not set matches every client.
struct ClientFilter {
  enum class Kind : std::uint8_t { normal, replica, master, pubsub };

  std::vector<std::int64_t> ids = {};
  std::optional<std::string> address = {};
  std::optional<std::string> local_address = {};
  std::optional<std::string> user = {};
  std::optional<Kind> kind = {};
  bool skips_me = true;  ///< KILL only

  [[nodiscard]] bool matches(const Session& session) const;
};

/// A filter, or the text of the error to answer.
struct ParsedFilter {
  ClientFilter filter = {};
  std::string error = {};
};

/// The words behind CLIENT LIST.
[[nodiscard]] ParsedFilter parse_list_filter(std::span<const ByteView> words);

/// The words behind CLIENT KILL, the form with options.
[[nodiscard]] ParsedFilter parse_kill_filter(std::span<const ByteView> words);

}  // namespace larder
