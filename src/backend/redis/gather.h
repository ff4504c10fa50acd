#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/redis/spread.h"

namespace larder::redis {

/// The replies of the parts of one client's request, and the client's place among its own.
///
/// Use: start(), then for each part begin() and the part's request with this as its caller, then settle().
/// Life: may be started again once is_done(). Thread: one worker.
class Gather final : public Caller {
 public:
  /// For `parts` replies that make one as `spread` says.
  void start(const Request& request, Spread spread, std::size_t parts);

  /// Of `values`: which part has the key at that place.
  std::vector<std::uint32_t> part_of_key;

  /// Of `scan`: who is asked, and who comes next.
  ScanCursor scan;
  std::optional<std::uint16_t> next_slot;

  /// The next request with this as its caller is for that part; replies that come at once are written there.
  [[nodiscard]] Bytes& begin(std::size_t part) noexcept {
    part_ = part;
    return parts_[part];
  }

  /// The part was answered at once.
  void finish_now() noexcept {
    note_heard_of();
    --open_;
  }

  /// All parts are begun: writes the reply if it is complete, takes the client's ticket otherwise.
  [[nodiscard]] Step settle(const Request& request);

  [[nodiscard]] bool is_done() const noexcept { return client_ == nullptr; }

  // --- Caller, for the parts ---
  Ticket defer() override { return part_; }
  ReplyWriter reply_to(Ticket part) override { return {parts_[part], protocol_}; }
  void finish(Ticket part) override;
  [[nodiscard]] std::size_t pending() const noexcept override { return client_->pending(); }
  [[nodiscard]] bool may_hold() const noexcept override { return false; }
  [[nodiscard]] Caller& client() noexcept override { return *client_; }

 private:
  void write(ReplyWriter& out) const;
  void note_heard_of() noexcept { all_heard_of_ = std::exchange(is_heard_of, false) && all_heard_of_; }

  Spread spread_ = Spread::none;
  Caller* client_ = nullptr;  ///< null: done
  std::optional<Ticket> ticket_;
  std::int64_t slowest_us_ = 0;  ///< of the parts
  bool all_heard_of_ = true;     ///< those that are finished
  std::vector<Bytes> parts_;
  std::size_t part_ = 0;
  std::size_t open_ = 0;
};

/// The requests that a request with keys in several slots is split into, one a slot.
///
/// Life: views into the request; the encoded bytes are its own.
class Split {
 public:
  /// `stride`: words that belong together, the key and for MSET its value.
  Split(std::span<const ByteView> argv, std::span<const std::uint32_t> positions, std::size_t stride);

  struct Part {
    std::uint16_t slot;
    std::vector<ByteView> argv;
  };
  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  [[nodiscard]] std::vector<std::uint32_t> take_part_of_key() noexcept { return std::move(part_of_key_); }

 private:
  std::vector<Part> parts_;
  std::vector<std::uint32_t> part_of_key_;
};

}  // namespace larder::redis
