#include "base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <ranges>
#include <span>

#include <fmt/format.h>

#include "base/bytes.h"

namespace larder {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Both tables are in falling order of the units that are printed.
constexpr std::array kByteUnits{
    Unit{"gb", 1ULL << 30}, Unit{"mb", 1ULL << 20},   Unit{"kb", 1ULL << 10}, Unit{"", 1},
    Unit{"b", 1},           Unit{"g", 1'000'000'000}, Unit{"m", 1'000'000},   Unit{"k", 1'000},
};
constexpr std::array kTimeUnits{
    Unit{"d", 86'400'000'000}, Unit{"h", 3'600'000'000}, Unit{"m", 60'000'000},
    Unit{"s", 1'000'000},      Unit{"ms", 1'000},        Unit{"us", 1},
};

constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxMicroseconds = 100 * 365 * kTimeUnits.front().factor;

struct Amount {
  std::uint64_t number;
  std::string_view unit;
};

std::optional<Amount> split_amount(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{}) return std::nullopt;
  return Amount{number, {end, last}};
}

std::optional<std::uint64_t> multiply(Amount amount, std::span<const Unit> units,
                                      std::uint64_t limit) noexcept {
  const auto unit =
      std::ranges::find_if(units, [&](const Unit& u) { return equals_ignore_case(amount.unit, u.name); });
  if (unit == units.end() || amount.number > limit / unit->factor) return std::nullopt;
  return amount.number * unit->factor;
}

std::string text_in(std::span<const Unit> units, std::uint64_t number) {
  const auto unit = std::ranges::find_if(units, [&](const Unit& u) { return number % u.factor == 0; });
  return fmt::format("{}{}", number / unit->factor, unit->name);
}

}  // namespace

std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept {
  const auto amount = split_amount(text);
  if (!amount) return std::nullopt;
  return multiply(*amount, kByteUnits, kMaxBytes);
}

std::string byte_size_text(std::uint64_t bytes) {
  if (bytes == 0) return "0";
  return text_in(kByteUnits, bytes);
}

std::optional<std::chrono::microseconds> parse_duration(std::string_view text, BareNumber bare) noexcept {
  auto amount = split_amount(text);
  if (!amount) return std::nullopt;
  if (amount->unit.empty() && (bare == BareNumber::seconds || amount->number == 0)) amount->unit = "s";
  const auto time = multiply(*amount, kTimeUnits, kMaxMicroseconds);
  if (!time) return std::nullopt;
  return std::chrono::microseconds(*time);
}

std::string duration_text(std::chrono::microseconds time) {
  if (time.count() == 0) return "0";
  return text_in(kTimeUnits, static_cast<std::uint64_t>(time.count()));
}

}  // namespace larder
