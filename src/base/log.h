#pragma once

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

}  // namespace log
}  // namespace larder
