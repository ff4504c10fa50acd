#include "backend/redis/tag_survey.h"

#include "resp/reply_cursor.h"

namespace larder::redis {

TagSurvey::TagSurvey(TagState& state, TagHost& host, const TagQuery& query, Done done)
    : state_(state),
      host_(host),
      query_(query),
      done_(std::move(done)),
      found_(kHashSlots, query.need == TagQuery::Need::all) {}

void TagSurvey::start() {
  while (state_.directory.is_trusted() && tag_ < query_.tags.size()) {
    const std::string name = TagDirectory::name(state_.prefix, TagDirectory::page_of(query_.tags[tag_]));
    if (!ask(host_, std::to_array<ByteView>({"GET", name}))) return;
    if (!take()) return;
  }
  tell();
}

/// False: it was an error, and it was told.
bool TagSurvey::take() {
  const ReplyCursor::Value page = ReplyCursor(reply()).next();
  if (page.is_error()) {
    done_({}, Bytes(page.text));
    return false;
  }
  ++tag_;
  const ByteView bits = page.is_null() ? ByteView() : page.text;
  const bool needs_all = query_.need == TagQuery::Need::all;
  for (std::uint16_t slot = 0; slot < kHashSlots; ++slot) {
    const bool is_set = has_bit(bits, slot);
    found_[slot] = needs_all ? found_[slot] && is_set : found_[slot] || is_set;
  }
  return true;
}

void TagSurvey::tell() {
  // What was read is worth something only if nothing was heard until it was there.
  const bool knows = state_.directory.is_trusted();
  if (!knows) state_.directory.missed = true;
  Slots slots;
  for (std::uint16_t slot = 0; slot < kHashSlots; ++slot)
    if (!knows || found_[slot]) slots.push_back(slot);
  done_(slots, {});
}

}  // namespace larder::redis
