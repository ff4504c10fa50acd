#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backend/redis/hash_slot.h"
#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/tag_survey.h"
#include "command/tags.h"

namespace larder::redis {

/// Where in a slot a TAGKEYS with that cursor begins, if it looks there.
[[nodiscard]] constexpr std::uint64_t place_in(std::uint16_t slot, std::uint64_t cursor) noexcept {
  return cursor % kHashSlots == slot ? cursor / kHashSlots : 0;
}

/// TAGKEYS in a cluster: one call after the other of a few slots each, in the order of the slots, until there
/// are as many keys as were asked for.
///
/// The cursor tells the slot and the place in it; what was read behind a slot that takes more than one call
/// is read again by the next TAGKEYS.
///
/// Life: its parts are callers, so it lives until it has told. Thread: one worker.
class TagListing {
 public:
  struct Outcome {
    std::uint64_t cursor = 0;
    std::vector<Bytes> keys{};
    Bytes error{};
  };
  using Done = std::function<void(const Outcome&)>;

  /// What is listed, for whom.
  struct Plan {
    TagKeysArguments words;
    std::shared_ptr<const UpstreamUser> user{};  ///< null: Larder's own
    std::optional<std::uint16_t> answered{};     ///< a slot that need not be asked
    Bytes answer{};                              ///< of that
  };

  TagListing(TagState& state, TagHost& host, Plan plan, Done done);
  ~TagListing();

  /// `slots` in their order: those that may have keys.
  void start(const TagSurvey::Slots& slots);

 private:
  class Part;

  void begin_wave();
  void answered();
  void take_wave();

  TagState& state_;
  TagHost& host_;
  const Plan plan_;
  Done done_;
  TagSurvey::Slots slots_;
  std::vector<std::unique_ptr<Part>> parts_;  ///< those that were begun, by place in slots_
  std::size_t wave_ = 0;                      ///< the first of those that are under way
  std::size_t open_ = 0;
  Outcome outcome_;
};

}  // namespace larder::redis
