#pragma once

#include <memory>
#include <vector>

#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_registrar.h"
#include "backend/redis/tag_state.h"

namespace larder::redis {

/// Compares the book of tag_directory.h with what the slots of a cluster say of themselves, and enters what
/// it lacks, whenever the book is not trusted. Once a second it looks whether others use tags, and where.
///
/// Thread: one worker; one worker does it for all.
class TagCensus {
 public:
  TagCensus(TagState& state, TagRegistrar& registrar, TagHost& host);
  ~TagCensus();

  void tick(std::int64_t now_us);

  [[nodiscard]] bool is_quiet() const noexcept { return open_ == 0; }

 private:
  class Walk;
  class Poll;

  [[nodiscard]] bool is_obsolete() const noexcept;
  void walked();

  TagState& state_;
  TagRegistrar& registrar_;
  TagHost& host_;
  std::vector<std::unique_ptr<Walk>> walks_;
  std::unique_ptr<Poll> poll_;
  std::size_t open_ = 0;
  std::uint32_t next_slot_ = 0;
  std::uint32_t begun_ = 0;
  bool failed_ = false;
  std::int64_t next_us_ = 0;
};

}  // namespace larder::redis
