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
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  Lanes(boost::asio::io_context& io, Poller& poller, Shared& shared, int count) {
    for (int i = 0; i < count; ++i) lanes_.push_back(std::make_unique<Executor>(io, poller, shared, *this));
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

  /// Whether a batch of `size` commands is worth sending. A statement costs PostgreSQL as much as ten of its
  /// rows, so while another lane's batch is in flight, one waits until half of those who were waiting for
  /// replies lately are in it.
  [[nodiscard]] bool may_send(std::size_t size) const noexcept {
    constexpr std::size_t kEnough = 64;
    return size >= std::min(crowd_ / 2, kEnough) ||
           std::ranges::none_of(lanes_, [](const auto& lane) { return lane->is_running(); });
  }

  /// A lane is about to answer its batch, whose commands still count.
  void about_to_answer() noexcept {
    crowd_ = 0;
    for (const auto& lane : lanes_) crowd_ += lane->commands();
  }

  /// It has none in flight now: the others need not wait for it.
  void answered() {
    for (const auto& lane : lanes_) lane->schedule();
  }

  [[nodiscard]] bool idle() const noexcept {
    return std::ranges::all_of(lanes_, [](const auto& lane) { return lane->idle(); });
  }
  void check_deadline(std::int64_t now_us, std::int64_t allowed_us) {
    for (const auto& lane : lanes_) lane->check_deadline(now_us, allowed_us);
  }

 private:
  std::vector<std::unique_ptr<Executor>> lanes_;
  std::size_t crowd_ = 0;  ///< commands without a reply, before the last batch was answered
};

}  // namespace larder::postgres
