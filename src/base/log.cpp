#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"

namespace larder::log {
namespace {

std::atomic<LogLevel> current_level{LogLevel::info};

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::debug:
      break;
  }
  return spdlog::level::debug;
}

// Coloured only when stderr is a terminal. Never destroyed: threads may log until the process is gone.
spdlog::logger& logger() {
  static spdlog::logger* const instance = [] {
    auto* made = new spdlog::logger("larder", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v",
                                                                    spdlog::pattern_time_type::utc));
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (is_control(c)) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

void set_level(LogLevel level) noexcept {
  current_level.store(level, std::memory_order_relaxed);
}

bool enabled(LogLevel level) noexcept {
  return level <= current_level.load(std::memory_order_relaxed);
}

void write(LogLevel level, std::string_view text) {
  logger().log(spdlog_level(level), on_one_line(text));
}

std::int64_t now_us() noexcept {
  return steady_now_us();
}

std::optional<std::uint64_t> Rate::admit(std::int64_t now_us) noexcept {
  constexpr std::int64_t kPause = 1'000'000, kBurst = 5 * kPause;
  std::int64_t full_at_us = full_at_us_.load(std::memory_order_relaxed);
  std::int64_t next;
  do {
    next = std::max(full_at_us, now_us) + kPause;
    if (next - now_us > kBurst) {
      left_out_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
  } while (!full_at_us_.compare_exchange_weak(full_at_us, next, std::memory_order_relaxed));
  return left_out_.exchange(0, std::memory_order_relaxed);
}

bool Outage::is_to_be_told(std::int64_t now_us) noexcept {
  constexpr std::int64_t kReminder = 60'000'000;
  std::int64_t tell_at_us = tell_at_us_.load(std::memory_order_relaxed);
  do {
    if (tell_at_us != kNone && now_us < tell_at_us) return false;
  } while (!tell_at_us_.compare_exchange_weak(tell_at_us, now_us + kReminder, std::memory_order_relaxed));
  return true;
}

}  // namespace larder::log
