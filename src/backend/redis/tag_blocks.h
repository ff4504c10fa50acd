#pragma once

#include <memory>
#include <vector>

#include "backend/redis/known_commands.h"
#include "backend/redis/tag_jobs.h"
#include "base/function_ref.h"

namespace larder::redis {

/// EXEC in a cluster, with commands about all keys of a tag among those that were queued: such keys are in
/// many slots, a block is in one.
///
/// What such a command means in the block's own slot is a part of the block, at the command's place. In other
/// slots the block changes nothing, so they may wait until Redis has run it: then they follow, command by
/// command, and if it ran none they do not. A block that names no key has no slot, and its part of them is
/// nothing.
///
/// Thread: one worker.
class TagBlocks {
 public:
  TagBlocks(TagJobs& jobs, const TagState& state, const KnownCommands& commands);
  ~TagBlocks();

  /// Shape: the keys of `exec` are in one slot; `send` runs the block on behalf of another caller.
  using Send = FunctionRef<Step(const Request& exec)>;
  [[nodiscard]] Step run(const Request& exec, const Route& route, Send send);

  void tick();

  [[nodiscard]] bool is_quiet() const noexcept { return blocks_.empty(); }

 private:
  class Block;

  TagJobs& jobs_;
  const TagState& state_;
  const KnownCommands& commands_;
  std::vector<std::unique_ptr<Block>> blocks_;  ///< until tick() after they have told, as they are callers
};

}  // namespace larder::redis
