#include "config/codec.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <iterator>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/bytes.h"

namespace larder::config {
namespace {

constexpr std::uint64_t kLeastL1Bytes = 1ULL << 20;

// PostgreSQL cuts names at 63 bytes; schemas of one process get a suffix.
constexpr std::size_t kMaxSchemaName = 40;

std::optional<bool> parse_boolean(std::string_view text) {
  constexpr std::array kTrue{"true", "yes", "on", "1"};
  constexpr std::array kFalse{"false", "no", "off", "0"};
  const auto is_text = [&](std::string_view word) { return equals_ignore_case(text, word); };
  if (std::ranges::any_of(kTrue, is_text)) return true;
  if (std::ranges::any_of(kFalse, is_text)) return false;
  return std::nullopt;
}

std::optional<std::uint64_t> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  const auto percent = parse_number(text.substr(0, text.size() - 1));
  if (!percent || *percent < 1 || *percent > 90) return std::nullopt;
  return memory_share_bytes(static_cast<unsigned>(*percent));
}

std::optional<std::uint64_t> parse_memory_share(std::string_view text) {
  if (const auto share = parse_percent(text)) return share;
  const auto bytes = parse_byte_size(text);
  return bytes && (*bytes == 0 || *bytes >= kLeastL1Bytes) ? bytes : std::nullopt;
}

bool is_ip_address(const std::string& text) {
  in6_addr any;
  return ::inet_pton(AF_INET, text.c_str(), &any) == 1 || ::inet_pton(AF_INET6, text.c_str(), &any) == 1;
}

std::optional<std::vector<std::string>> parse_ip_addresses(std::string_view text) {
  std::vector<std::string> addresses = split(text, ',');
  if (!std::ranges::all_of(addresses, is_ip_address)) return std::nullopt;
  return addresses;
}

std::optional<std::uint32_t> parse_file_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, mode, 8);
  if (error != std::errc{} || end != last || mode > 0777) return std::nullopt;
  return mode;
}

bool is_schema_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto follower = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kMaxSchemaName && letter(text.front()) &&
         std::ranges::all_of(text, follower) && !text.starts_with("pg_");
}

std::optional<OutputLimit> parse_output_limit(std::string_view text) {
  const std::vector<std::string> parts = split(text, ' ');
  if (parts.size() != 1 && parts.size() != 3) return std::nullopt;
  const auto hard = parse_byte_size(parts[0]);
  if (!hard) return std::nullopt;
  if (parts.size() == 1) return OutputLimit{.hard_bytes = *hard};
  const auto soft = parse_byte_size(parts[1]);
  const auto time =
      duration<std::chrono::seconds>({}, std::chrono::hours(1), BareNumber::seconds).parse(parts[2]);
  if (!soft || !time) return std::nullopt;
  return OutputLimit{*hard, *soft, *time};
}

std::string print_output_limit(const OutputLimit& limit) {
  if (limit.soft_bytes == 0 && limit.soft_time.count() == 0) return byte_size_text(limit.hard_bytes);
  return fmt::format("{} {} {}", byte_size_text(limit.hard_bytes), byte_size_text(limit.soft_bytes),
                     duration_text(limit.soft_time));
}

template <class T>
std::string as_is(const T& value) {
  return std::string(value);
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{} || end != last) return std::nullopt;
  return number;
}

Codec<bool> boolean() {
  return {
      .types = {TomlType::boolean},
      .allowed = "true or false",
      .parse = parse_boolean,
      .print = [](const bool& value) -> std::string { return value ? "true" : "false"; },
  };
}

Codec<std::string> text() {
  return {
      .types = {TomlType::string},
      .allowed = "a string",
      .parse = [](std::string_view text) { return std::optional<std::string>(text); },
      .print = as_is<std::string>,
  };
}

Codec<std::optional<std::uint16_t>> port() {
  Codec<std::uint16_t> number = integer<std::uint16_t>(0, 65535);
  number.types = {TomlType::string, TomlType::integer};
  return or_off(std::move(number));
}

Codec<std::uint64_t> byte_size(std::uint64_t low, std::uint64_t high) {
  const std::string range = high == kMaxBytes
                                ? fmt::format("of at least {}", byte_size_text(low))
                                : fmt::format("from {} to {}", byte_size_text(low), byte_size_text(high));
  return {
      .types = {TomlType::string, TomlType::integer},
      .allowed = fmt::format("a size {}, in bytes or as in \"64mb\" (units b, k, kb, m, mb, g, gb)", range),
      .parse = [=](std::string_view text) -> std::optional<std::uint64_t> {
        const auto bytes = parse_byte_size(text);
        return bytes && *bytes >= low && *bytes <= high ? bytes : std::nullopt;
      },
      .print = byte_size_text,
  };
}

Codec<std::uint64_t> memory_share() {
  return {
      .types = {TomlType::string, TomlType::integer},
      .allowed =
          "0, a size of at least 1mb, in bytes or as in \"64mb\" (units b, k, kb, m, mb, g, gb), or a share "
          "of the "
          "memory from \"1%\" to \"90%\"",
      .parse = parse_memory_share,
      .print = byte_size_text,
  };
}

Codec<std::vector<std::string>> ip_addresses() {
  return {
      .types = {TomlType::array, TomlType::string},
      .allowed = "IPv4 and IPv6 addresses, as in \"127.0.0.1\", \"0.0.0.0\" or \"::1\"",
      .parse = parse_ip_addresses,
      .print = [](const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, ",")); },
  };
}

Codec<std::vector<std::string>> prefixes() {
  return {
      .types = {TomlType::array, TomlType::string},
      .allowed = "prefixes of keys without commas, as in [\"session:\", \"cart:\"]",
      .parse = [](std::string_view text) -> std::optional<std::vector<std::string>> {
        std::vector<std::string> list = split(text, ',');
        if (!std::ranges::all_of(list, [](const std::string& prefix) { return !prefix.empty(); }))
          return std::nullopt;
        return list;
      },
      .print = [](const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, ",")); },
  };
}

Codec<std::string> socket_path() {
  constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  return {
      .types = {TomlType::string},
      .allowed = fmt::format("a path of at most {} bytes", kMaxPath),
      .parse = [](std::string_view text) -> std::optional<std::string> {
        if (text.size() > kMaxPath) return std::nullopt;
        return std::string(text);
      },
      .print = as_is<std::string>,
  };
}

Codec<std::string> host() {
  constexpr std::size_t kMostBytes = 253;
  return {
      .types = {TomlType::string},
      .allowed = "a host name or an IP address without port and brackets",
      .parse = [](std::string_view text) -> std::optional<std::string> {
        constexpr std::string_view kLetters =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
        const bool has_port = std::ranges::count(text, ':') == 1;
        if (text.size() > kMostBytes || text.find_first_not_of(kLetters) != text.npos || has_port)
          return std::nullopt;
        return std::string(text);
      },
      .print = as_is<std::string>,
  };
}

Codec<std::uint32_t> file_mode() {
  return {
      .types = {TomlType::string},
      .allowed = "an octal file mode from \"0\" to \"777\"",
      .parse = parse_file_mode,
      .print = [](const std::uint32_t& mode) { return fmt::format("{:o}", mode); },
  };
}

Codec<std::filesystem::path> directory() {
  return {
      .types = {TomlType::string},
      .allowed = "an absolute path",
      .parse = [](std::string_view text) -> std::optional<std::filesystem::path> {
        if (!text.empty() && !text.starts_with('/')) return std::nullopt;
        return std::filesystem::path(text);
      },
      .print = as_is<std::filesystem::path>,
  };
}

Codec<std::string> schema_name() {
  return {
      .types = {TomlType::string},
      .allowed =
          fmt::format("at most {} of a-z, 0-9 and _, not starting with a digit or pg_", kMaxSchemaName),
      .parse = [](std::string_view text) -> std::optional<std::string> {
        if (!is_schema_name(text)) return std::nullopt;
        return std::string(text);
      },
      .print = as_is<std::string>,
  };
}

Codec<std::string> key_prefix() {
  constexpr std::size_t kMostBytes = 64;
  return {
      .types = {TomlType::string},
      .allowed = fmt::format("1 to {} bytes without braces", kMostBytes),
      .parse = [](std::string_view text) -> std::optional<std::string> {
        const bool has_braces = text.find_first_of("{}") != std::string_view::npos;
        if (text.empty() || text.size() > kMostBytes || has_braces) return std::nullopt;
        return std::string(text);
      },
      .print = as_is<std::string>,
  };
}

Codec<OutputLimit> output_limit() {
  return {
      .types = {TomlType::string, TomlType::integer},
      .allowed = "\"HARD SOFT TIME\" as in \"32mb 8mb 60s\" (at most 1h), or the hard limit alone",
      .parse = parse_output_limit,
      .print = print_output_limit,
  };
}

std::vector<std::string> wrap(std::string_view words, std::size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : split(words, ' ')) {
    if (lines.empty() || lines.back().size() + 1 + word.size() > width) {
      lines.push_back(word);
    } else {
      lines.back().append(" ").append(word);
    }
  }
  return lines;
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(quoted), "\\u{:04x}", byte);
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end + 1 == text.size()) parts.emplace_back();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace larder::config
