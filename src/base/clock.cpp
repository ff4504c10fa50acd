#include "base/clock.h"

#include <chrono>

namespace larder {
namespace {

template <class Unit, class Clock>
std::int64_t since_epoch() noexcept {
  return std::chrono::duration_cast<Unit>(Clock::now().time_since_epoch()).count();
}

}  // namespace

UnixMs unix_now_ms() noexcept {
  return since_epoch<std::chrono::milliseconds, std::chrono::system_clock>();
}

std::int64_t unix_now_us() noexcept {
  return since_epoch<std::chrono::microseconds, std::chrono::system_clock>();
}

std::int64_t steady_now_us() noexcept {
  return since_epoch<std::chrono::microseconds, std::chrono::steady_clock>();
}

}  // namespace larder
