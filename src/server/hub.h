#pragma once

#include <array>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace larder {

class Session;

enum class Topic : std::uint8_t { channel, pattern, shard_channel };

/// What anybody is subscribed to, over all workers; INFO counts it.
///
/// Thread: any.
class Topics {
 public:
  void add(Topic topic, ByteView name);     ///< a worker has its first subscriber
  void remove(Topic topic, ByteView name);  ///< and has none any more
  [[nodiscard]] std::size_t count(Topic topic) const;

 private:
  mutable std::mutex mutex_;
  std::array<std::map<std::string, int, std::less<>>, 3> workers_of_;
};

/// What a worker's clients are subscribed to, where no Redis looks after that. A message visits all workers.
///
/// Thread: one worker.
class Hub {
 public:
  using Topic = larder::Topic;
  using Names = std::set<std::string, std::less<>>;

  explicit Hub(Topics& all) noexcept : all_(all) {}

  void add(Topic topic, ByteView name, Session& session);
  void remove(Topic topic, ByteView name, Session& session);
  void remove_all(Session& session);

  /// What the session is subscribed to.
  [[nodiscard]] Names names_of(Topic topic, const Session& session) const;

  /// What anybody is subscribed to, and how many are.
  [[nodiscard]] Names names(Topic topic) const;
  [[nodiscard]] std::size_t count(Topic topic, ByteView name) const;

  /// Sends a message to whom it concerns; returns how often.
  std::size_t publish(Topic topic, ByteView channel, ByteView message);

 private:
  using Subscribers = std::vector<Session*>;
  using Index = std::map<std::string, Subscribers, std::less<>>;

  [[nodiscard]] Index& index(Topic topic) noexcept { return indexes_[static_cast<std::size_t>(topic)]; }
  [[nodiscard]] const Index& index(Topic topic) const noexcept {
    return indexes_[static_cast<std::size_t>(topic)];
  }
  static void note(Topic topic, Session& session, std::size_t count) noexcept;

  Topics& all_;
  std::array<Index, 3> indexes_;
  std::unordered_map<const Session*, std::array<Names, 3>> names_of_;
};

}  // namespace larder
