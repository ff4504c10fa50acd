#include "backend/postgres/batch.h"

#include <cstring>

namespace larder::postgres {
namespace {

/// One map for all databases: their hashes must differ.
std::uint64_t hash_with_db(const KeyRef& key) noexcept {
  constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;
  return key.hash ^ static_cast<std::uint64_t>(key.db) * kSpread;
}

}  // namespace

ByteView Batch::copy(ByteView bytes) {
  bytes_ += bytes.size();
  if (bytes.empty()) return {};
  auto* out = static_cast<char*>(arena_.allocate(bytes.size(), 1));
  std::memcpy(out, bytes.data(), bytes.size());
  return {out, bytes.size()};
}

Slot* Batch::find(const KeyRef& key) noexcept {
  const auto found = slot_by_hash_.find(hash_with_db(key));
  if (found == slot_by_hash_.end()) return nullptr;
  for (int index = static_cast<int>(found->second); index >= 0;
       index = slots_[static_cast<std::size_t>(index)].next_same_hash) {
    Slot& slot = slots_[static_cast<std::size_t>(index)];
    if (slot.key.db == key.db && slot.key.bytes == key.bytes) return &slot;
  }
  return nullptr;
}

std::uint32_t Batch::slot_index(const KeyRef& key) {
  if (const Slot* slot = find(key)) return static_cast<std::uint32_t>(slot - slots_.data());
  const auto index = static_cast<std::uint32_t>(slots_.size());
  const auto [place, is_new] = slot_by_hash_.try_emplace(hash_with_db(key), index);
  slots_.emplace_back(key);
  slots_.back().key.bytes = copy(key.bytes);
  if (!is_new) slots_.back().next_same_hash = static_cast<int>(std::exchange(place->second, index));
  return index;
}

void Batch::name_slot(std::uint32_t index) {
  ++slots_[index].commands;
  command_slots_.push_back(index);
}

Batch::Command& Batch::add(const Request& request, Ticket ticket, UnixMs now_ms,
                           std::span<const KeyRef> keys) {
  commands_.push_back({.spec = request.spec,
                       .caller = &request.caller,
                       .ticket = ticket,
                       .protocol = request.caller.protocol(),
                       .db = request.caller.db(),
                       .now_ms = now_ms,
                       .first_argument = static_cast<std::uint32_t>(arguments_.size()),
                       .argument_count = static_cast<std::uint32_t>(request.argv.size()),
                       .first_key = static_cast<std::uint32_t>(command_slots_.size()),
                       .key_count = static_cast<std::uint32_t>(keys.size())});
  for (const ByteView argument : request.argv) arguments_.push_back(copy(argument));
  for (const KeyRef& key : keys) name_slot(slot_index(key));
  return commands_.back();
}

void Batch::take(const Batch& other, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    Command command = other.commands_[i];
    const std::span<const ByteView> arguments = other.arguments(command);
    const std::size_t first_key = command.first_key;
    command.first_argument = static_cast<std::uint32_t>(arguments_.size());
    command.first_key = static_cast<std::uint32_t>(command_slots_.size());
    command.removes_blindly = false;
    for (const ByteView argument : arguments) arguments_.push_back(copy(argument));
    for (std::size_t key = 0; key < command.key_count; ++key) {
      const Slot& old = other.slots_[other.command_slots_[first_key + key]];
      const std::uint32_t index = slot_index(old.key);
      slots_[index].noted = old.noted;
      slots_[index].generation = old.generation;
      slots_[index].named_by_write = old.named_by_write;
      name_slot(index);
    }
    commands_.push_back(command);
  }
}

void Batch::rewind() {
  for (Slot& slot : slots_) {
    slot.loaded = Slot::State::unknown;
    slot.loaded_value = slot.loaded_tags = {};
    slot.loaded_expiry = kNoExpiry;
    slot.seen = 0;
    slot.was_live = false;
  }
  results_.clear();
}

void Batch::clear() {
  transaction.reset();
  commands_.clear();
  arguments_.clear();
  command_slots_.clear();
  slots_.clear();
  slot_by_hash_.clear();
  results_.clear();
  carries_tags = false;
  arena_.release();
  bytes_ = 0;
}

}  // namespace larder::postgres
