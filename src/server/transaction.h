#pragma once

#include <vector>

#include "server/stand_in.h"

namespace larder {

/// The commands between MULTI and EXEC.
///
/// Those for the backend are one block of bytes (backend/block.h), which it runs as a whole. Those that the
/// server runs itself are kept aside and run when the backend has answered, each at its place in the array.
///
/// Also the caller of the block, when its reply is to be put together with those of the server's own
/// commands.
///
/// Thread: one session; no locking.
class Transaction final : public StandIn {
 public:
  /// Who runs a queued command.
  enum class Place : std::uint8_t {
    backend,
    server,
    both,   ///< SELECT: the backend does, and the session follows
    asked,  ///< the server, if the backend lets the user (question_for())
  };

  /// A queued command that concerns the server.
  struct Own {
    std::size_t position;  ///< among all queued commands
    Place place;
    const CommandSpec* spec;
    Bytes raw;
  };

  Transaction();

  void queue(const Request& request, Place place);

  /// A command was refused: EXEC will run none, and no more are queued.
  void spoil() noexcept { spoiled_ = true; }
  [[nodiscard]] bool is_spoiled() const noexcept { return spoiled_; }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return block_.size() + own_bytes_; }
  [[nodiscard]] bool writes() const noexcept { return writes_; }
  [[nodiscard]] std::span<const Own> own() const noexcept { return own_; }

  /// What the backend is to run, MULTI and EXEC included. Life: as long as this.
  [[nodiscard]] ByteView block();

 private:
  Bytes block_;
  bool closed_ = false;
  std::vector<Own> own_;
  std::size_t own_bytes_ = 0;
  std::size_t size_ = 0;
  bool spoiled_ = false;
  bool writes_ = false;
};

}  // namespace larder
