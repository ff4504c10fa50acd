#pragma once

#include <functional>
#include <vector>

#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_state.h"
#include "value/tag.h"

namespace larder::redis {

/// Finds out which slots of a cluster a query about tags concerns, from the book of tag_directory.h.
///
/// Shape: too many perhaps, never too few; all while the book is not trusted. In the order of their numbers.
/// Life:  it is a caller, so it lives until it has told. Thread: one worker.
class TagSurvey final : public OwnCaller {
 public:
  using Slots = std::vector<std::uint16_t>;
  using Done = std::function<void(const Slots& slots, ByteView error)>;

  TagSurvey(TagState& state, TagHost& host, const TagQuery& query, Done done);

  void start();

  void finish(Ticket) override {
    if (take()) start();
  }

 private:
  [[nodiscard]] bool take();
  void tell();

  TagState& state_;
  TagHost& host_;
  const TagQuery query_;
  Done done_;
  std::size_t tag_ = 0;      ///< of the query: the next whose page is read
  std::vector<bool> found_;  ///< by slot
};

}  // namespace larder::redis
