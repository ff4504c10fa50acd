#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/units.h"
#include "config/settings.h"

// A codec says how one kind of value is written. Flags and environment variables are text; a value of the
// file is turned into the same text first, once its TOML type was found to be one of `types`.
namespace larder::config {

enum class TomlType { string, integer, boolean, array, other };

template <class T>
struct Codec {
  std::vector<TomlType> types;  // the first is the one that is printed
  std::string allowed;          // completes "it must be ..."
  std::function<std::optional<T>(std::string_view)> parse;
  std::function<std::string(const T&)> print;  // parse() reads it back
};

/// Decimal digits only.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

template <class T>
Codec<T> integer(T low, T high) {
  return {
      .types = {TomlType::integer},
      .allowed = fmt::format("an integer from {} to {}", low, high),
      .parse = [=](std::string_view text) -> std::optional<T> {
        const auto number = parse_number(text);
        if (!number || *number < low || *number > high) return std::nullopt;
        return static_cast<T>(*number);
      },
      .print = [](const T& value) { return fmt::to_string(value); },
  };
}

/// One of `names`; an empty name is allowed in silence.
template <class T>
Codec<T> choice(std::vector<std::pair<std::string_view, T>> names) {
  std::vector<std::string_view> shown;
  for (const auto& [name, value] : names)
    if (!name.empty()) shown.push_back(name);
  return {
      .types = {TomlType::string},
      .allowed = fmt::format("\"{}\"", fmt::join(shown, "\" or \"")),
      .parse = [names](std::string_view text) -> std::optional<T> {
        for (const auto& [name, value] : names)
          if (name == text) return value;
        return std::nullopt;
      },
      .print = [names](const T& wanted) -> std::string {
        for (const auto& [name, value] : names)
          if (value == wanted) return std::string(name);
        return {};
      },
  };
}

/// A length of time that `Unit` holds exactly: half a second is no number of std::chrono::seconds.
template <class Unit>
Codec<Unit> duration(Unit low, Unit high, BareNumber bare = BareNumber::refused) {
  const bool seconds = bare == BareNumber::seconds;
  return {
      .types = {TomlType::string, TomlType::integer},
      .allowed = fmt::format("{} from {} to {}, written as in \"10s\" (units us, ms, s, m, h, d{})",
                             Unit::period::den == 1 ? "whole seconds" : "a time", duration_text(low),
                             duration_text(high), seconds ? "; a bare number is seconds" : ""),
      .parse = [=](std::string_view text) -> std::optional<Unit> {
        const auto time = parse_duration(text, bare);
        if (!time || *time < low || *time > high) return std::nullopt;
        const auto whole = std::chrono::duration_cast<Unit>(*time);
        return whole == *time ? std::optional(whole) : std::nullopt;
      },
      .print = [](const Unit& time) { return duration_text(time); },
  };
}

/// A TCP port, or "off"; 0 is a free one.
[[nodiscard]] Codec<std::optional<std::uint16_t>> port();

/// Whatever `codec` takes, and "off".
template <class T>
Codec<std::optional<T>> or_off(Codec<T> codec) {
  return {
      .types = codec.types,
      .allowed = codec.allowed + " or \"off\"",
      .parse = [parse = codec.parse](std::string_view text) -> std::optional<std::optional<T>> {
        if (text == "off") return std::optional<T>{};
        const auto value = parse(text);
        return value ? std::optional<std::optional<T>>(value) : std::nullopt;
      },
      .print = [print = codec.print](const std::optional<T>& value) { return value ? print(*value) : "off"; },
  };
}

[[nodiscard]] Codec<bool> boolean();
[[nodiscard]] Codec<std::string> text();
inline constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
[[nodiscard]] Codec<std::uint64_t> byte_size(std::uint64_t low, std::uint64_t high);
/// A byte size, or "25%" of the memory this process may use.
[[nodiscard]] Codec<std::uint64_t> memory_share();
[[nodiscard]] Codec<std::vector<std::string>> ip_addresses();
[[nodiscard]] Codec<std::vector<std::string>> prefixes();
[[nodiscard]] Codec<std::string> socket_path();
[[nodiscard]] Codec<std::string> host();  ///< a name or an IP address without brackets; may be empty
[[nodiscard]] Codec<std::uint32_t> file_mode();
[[nodiscard]] Codec<std::filesystem::path> directory();
[[nodiscard]] Codec<std::string> schema_name();
/// Where the names of some keys begin: in a cluster braces would say in which slot they are.
[[nodiscard]] Codec<std::string> key_prefix();
/// "HARD SOFT TIME", for example "32mb 8mb 60s"; "0" is no limit.
[[nodiscard]] Codec<OutputLimit> output_limit();

/// `words` in lines of at most `width` bytes.
[[nodiscard]] std::vector<std::string> wrap(std::string_view words, std::size_t width);

/// `text` as a TOML string.
[[nodiscard]] std::string toml_string(std::string_view text);

/// The parts of `text` between `separator`s; no part of an empty text.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

}  // namespace larder::config
