#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "backend/postgres/executor.h"

namespace larder::postgres {

/// A worker's lanes of one kind: while PostgreSQL works on the batch of one, the worker fills or answers the
/// batch of another. With a single lane each waits for the other, and half of the machine idles.
///
/// Thread: one worker.
class Lanes {
 public:
  Lanes(boost::asio::io_context& io, Poller& poller, Shared& shared, int count) {
    for (int i = 0; i < count; ++i) lanes_.push_back(std::make_unique<Executor>(io, poller, shared));
  }

  /// Errors: SqlError.
  void open_now() {
    for (const auto& lane : lanes_) lane->open_now();
  }

  /// The lanes with unanswered commands that name one of the keys.
  struct Naming {
    Executor* lane = nullptr;  ///< the first
    bool several = false;
  };
  [[nodiscard]] Naming naming(std::span<const KeyRef> keys) const noexcept {
    Naming found;
    for (const auto& lane : lanes_) {
      if (!lane->names(keys)) continue;
      found.several = found.lane != nullptr;
      if (!found.several) found.lane = lane.get();
    }
    return found;
  }

  /// The one that has least to do.
  [[nodiscard]] Executor& freest() const noexcept {
    return **std::ranges::min_element(lanes_, {}, [](const auto& lane) { return lane->commands(); });
  }

  /// One of these lanes that the caller's open requests are in, else the freest.
  [[nodiscard]] Executor& of(const Caller& caller) const noexcept {
    const auto its =
        std::ranges::find(lanes_, caller.lane, [](const auto& lane) -> const void* { return lane.get(); });
    return caller.pending() > 0 && its != lanes_.end() ? **its : freest();
  }

  [[nodiscard]] bool idle() const noexcept {
    return std::ranges::all_of(lanes_, [](const auto& lane) { return lane->idle(); });
  }
  void check_deadline(std::int64_t now_us, std::int64_t allowed_us) {
    for (const auto& lane : lanes_) lane->check_deadline(now_us, allowed_us);
  }

 private:
  std::vector<std::unique_ptr<Executor>> lanes_;
};

}  // namespace larder::postgres
