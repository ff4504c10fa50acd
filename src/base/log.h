#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace larder {

enum class LogLevel { error, warning, info, debug };

/// The log of the process: one line per event on stderr, "2026-01-31T12:00:00.000Z info text".
///
/// Shape:  control characters of the text are escaped, so that an event is one line whoever wrote it.
/// Thread: any; lines do not mix.
namespace log {

void set_level(LogLevel level) noexcept;
[[nodiscard]] bool enabled(LogLevel level) noexcept;
void write(LogLevel level, std::string_view text);

template <class... Args>
void write_if_enabled(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write_if_enabled(LogLevel::error, format, std::forward<Args>(args)...);
}

template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write_if_enabled(LogLevel::warning, format, std::forward<Args>(args)...);
}

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write_if_enabled(LogLevel::info, format, std::forward<Args>(args)...);
}

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write_if_enabled(LogLevel::debug, format, std::forward<Args>(args)...);
}

/// How often a kind of event may be told: five times at once, then once a second. The others are counted.
///
/// Thread: any.
class Rate {
 public:
  /// How many were left out since the last one that was told; nothing: leave this one out as well.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::int64_t now_us) noexcept;

 private:
  std::atomic<std::int64_t> full_at_us_{0};
  std::atomic<std::uint64_t> left_out_{0};
};

/// A trouble that lasts and is noticed again and again: told when it begins and once a minute while it lasts.
///
/// Thread: any.
class Outage {
 public:
  /// It has been noticed; true when this is to be told.
  [[nodiscard]] bool is_to_be_told(std::int64_t now_us) noexcept;

  /// It is over; true when there was one.
  bool end() noexcept { return tell_at_us_.exchange(kNone, std::memory_order_relaxed) != kNone; }

 private:
  static constexpr std::int64_t kNone = 0;
  std::atomic<std::int64_t> tell_at_us_{kNone};
};

/// Now, for a Rate or an Outage.
[[nodiscard]] std::int64_t now_us() noexcept;

template <class... Args>
void warning_at(Rate& rate, fmt::format_string<Args...> format, Args&&... args) {
  if (!enabled(LogLevel::warning)) return;
  const std::optional<std::uint64_t> left_out = rate.admit(now_us());
  if (!left_out) return;
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  write(LogLevel::warning,
        *left_out == 0 ? text : fmt::format("{} ({} more before this one)", text, *left_out));
}

}  // namespace log
}  // namespace larder
