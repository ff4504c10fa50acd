#include "backend/postgres/loaded_records.h"

#include <algorithm>

#include "backend/postgres/row_size.h"
#include "backend/postgres/tag_columns.h"

namespace larder::postgres {

LoadedRecords::LoadedRecords(Batch& batch) : batch_(batch) {
  for (Slot& slot : batch_.slots()) {
    slot.state = slot.loaded;
    slot.value = slot.loaded_value;
    slot.expire_at = slot.loaded_expiry;
    slot.tags.reset();
    slot.dirty = false;
  }
  batch_.carries_tags = false;
}

void LoadedRecords::begin(const Batch::Command& command) {
  arguments_ = batch_.arguments(command);
  now_ms_ = command.now_ms;
}

/// The key's slot; null, and missed, when nothing is known of the key yet.
Slot* LoadedRecords::known(const KeyRef& key) {
  Slot* slot = batch_.find(key);
  if (slot->state != Slot::State::unknown) return slot;
  slot->wants_load = true;
  missed_ = true;
  return nullptr;
}

std::optional<Item> LoadedRecords::find(const KeyRef& key) {
  const Slot* slot = known(key);
  if (slot == nullptr || !slot->is_live(now_ms_)) return std::nullopt;
  return Item{slot->value, slot->expire_at, Type::string};
}

void LoadedRecords::put(const KeyRef& key, ByteView value, UnixMs expire_at) {
  Slot& slot = *batch_.find(key);
  begin_anew(slot);
  if (is_argument(value)) {
    slot.value = value;
  } else {
    slot.own.assign(value);
    slot.value = slot.own;
  }
  slot.state = Slot::State::present;
  slot.expire_at = expire_at;
  slot.dirty = true;
}

/// What takes the place of an expired row has nothing of it. (Of a row that is not known SQL sees it.)
void LoadedRecords::begin_anew(Slot& slot) const {
  if (slot.state == Slot::State::unknown || slot.is_live(now_ms_)) return;
  slot.value = {};
  slot.expire_at = kNoExpiry;
  slot.tags = TagSet();
}

/// Arguments live as long as the batch.
bool LoadedRecords::is_argument(ByteView value) const noexcept {
  return std::ranges::any_of(arguments_,
                             [value](ByteView argument) { return argument.data() == value.data(); });
}

std::span<char> LoadedRecords::edit(const KeyRef& key, std::size_t size) {
  Slot* slot = known(key);
  if (slot == nullptr) {
    scratch_.assign(size, '\0');
    return scratch_;
  }
  begin_anew(*slot);
  if (slot->value.data() != slot->own.data()) slot->own.assign(slot->value);
  slot->own.resize(size);
  slot->value = slot->own;
  slot->state = Slot::State::present;
  slot->dirty = true;
  return slot->own;
}

void LoadedRecords::set_expiry(const KeyRef& key, UnixMs expire_at) {
  Slot* slot = known(key);
  if (slot == nullptr || !slot->is_live(now_ms_) || slot->expire_at == expire_at) return;
  slot->expire_at = expire_at;
  slot->dirty = true;
}

bool LoadedRecords::erase(const KeyRef& key) {
  Slot* slot = known(key);
  if (slot == nullptr || slot->state == Slot::State::absent) return false;
  const bool was_live = slot->is_live(now_ms_);
  erase_blindly(*slot);
  return was_live;
}

void LoadedRecords::erase_blindly(Slot& slot) noexcept {
  slot.state = Slot::State::absent;
  slot.value = {};
  slot.expire_at = kNoExpiry;
  slot.tags = TagSet();
  slot.dirty = true;
}

TagSet LoadedRecords::tags(const KeyRef& key) {
  Slot* slot = known(key);
  if (slot == nullptr || !slot->is_live(now_ms_)) return {};
  if (slot->tags) return *slot->tags;
  if (slot->loaded != Slot::State::unknown) return tags_from_array(slot->loaded_tags);
  slot->wants_load = true;  // put blindly: what it keeps is not known
  missed_ = true;
  return {};
}

void LoadedRecords::set_tags(const KeyRef& key, const TagSet& tags) {
  Slot* slot = known(key);
  if (slot == nullptr || !slot->is_live(now_ms_)) return;
  slot->tags = tags;
  slot->dirty = true;
}

void LoadedRecords::carry_tags(const KeyRef& from, const KeyRef& to) {
  const TagSet carried = tags(from);
  batch_.carries_tags = batch_.carries_tags || !carried.empty();
  set_tags(to, carried);
}

std::size_t LoadedRecords::memory_usage(const KeyRef& key) {
  const std::optional<Item> item = find(key);
  return item ? row_bytes(key, *item) : 0;
}

}  // namespace larder::postgres
