#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "keyspace/tracked_keys.h"

namespace larder {

class Worker;

/// Carries what TrackedKeys has to tell to the workers of the clients: a mailbox a worker, which empties it
/// in one go.
///
/// Thread: any.
class Invalidations final : public TrackedKeys::Audience {
 public:
  /// Before anything is told. The worker outlives its letters, as they run on it.
  void add(Worker& worker);

  /// Whom a client of a worker is to the table.
  [[nodiscard]] static ReaderId reader_of(int worker, std::uint64_t client) noexcept {
    return static_cast<ReaderId>(worker) << kClientBits | client;
  }

  /// A client wants to hear of all keys with that prefix, or no more.
  void join(const std::string& prefix);
  void leave(const std::string& prefix);
  [[nodiscard]] std::size_t prefixes() const;  ///< different ones

  void tell(std::span<const ReaderId> readers, ByteView key) override;
  void tell_all() override;
  void broadcast(ByteView key, ReaderId author) override;

 private:
  static constexpr int kClientBits = 48;

  struct Letter {
    enum class Kind : std::uint8_t { key, everything, broadcast };
    Kind kind;
    Bytes key = {};
    std::vector<ReaderId> readers = {};  ///< of a broadcast: the author
  };
  struct Mailbox {
    explicit Mailbox(Worker& of) : worker(of) {}
    Worker& worker;
    std::mutex mutex;
    std::vector<Letter> letters;  // guarded by mutex
  };

  void send(Mailbox& mailbox, Letter letter);
  static void deliver(Mailbox& mailbox);
  static void broadcast_all(Worker& worker, const std::vector<Letter>& letters);

  std::deque<Mailbox> mailboxes_;
  mutable std::mutex prefixes_mutex_;
  std::map<std::string, std::size_t> prefixes_;  // guarded by prefixes_mutex_
};

}  // namespace larder
