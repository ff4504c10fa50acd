#include "backend/redis/tag_directory.h"

#include "backend/redis/slot_name.h"

namespace larder::redis {
namespace {

/// The first segments of a tag: all of it if it has no more.
ByteView first_segments(ByteView tag, int count) noexcept {
  std::size_t end = tag.find(':');
  while (--count > 0 && end != ByteView::npos) end = tag.find(':', end + 1);
  return tag.substr(0, end);
}

constexpr std::uint64_t bit_of(std::uint16_t slot) noexcept {
  return std::uint64_t{1} << (slot % 64);
}

}  // namespace

TagDirectory::~TagDirectory() {
  for (const auto& page : pages_) delete page.load(std::memory_order_relaxed);
}

TagDirectory::Page TagDirectory::page_of(ByteView tag) noexcept {
  return hash_slot(first_segments(tag, 2));
}

void TagDirectory::append_entries(ByteView tag, std::uint16_t slot, std::vector<Entry>& entries) {
  const Page broad = hash_slot(first_segments(tag, 1)), narrow = page_of(tag);
  entries.push_back({kEverything, slot});
  entries.push_back({kEverything, broad});  // the page lies in a slot too
  entries.push_back({broad, slot});
  if (narrow == broad) return;
  entries.push_back({kEverything, narrow});
  entries.push_back({narrow, slot});
}

std::string TagDirectory::name(const std::string& prefix, Page page) {
  const bool is_of_all = page == kEverything;
  return prefix + '{' + slot_name(is_of_all ? kEverythingsSlot : page) + (is_of_all ? "}:s" : "}:d");
}

bool TagDirectory::knows(Entry entry) const noexcept {
  const Bits* bits = pages_[entry.page].load(std::memory_order_acquire);
  return bits != nullptr &&
         ((*bits)[entry.slot / 64].load(std::memory_order_relaxed) & bit_of(entry.slot)) != 0;
}

bool TagDirectory::was_used(std::uint16_t slot) const noexcept {
  return slot == kEverythingsSlot || (used_[slot / 64].load(std::memory_order_relaxed) & bit_of(slot)) != 0;
}

void TagDirectory::learn(Entry entry, std::uint32_t epoch) {
  if (entry.page == kEverything)
    used_[entry.slot / 64].fetch_or(bit_of(entry.slot), std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (epoch != epoch_.load(std::memory_order_relaxed)) return;
  std::atomic<Bits*>& page = pages_[entry.page];
  if (page.load(std::memory_order_relaxed) == nullptr)
    page.store(std::make_unique<Bits>().release(), std::memory_order_release);
  (*page.load(std::memory_order_relaxed))[entry.slot / 64].fetch_or(bit_of(entry.slot),
                                                                    std::memory_order_relaxed);
}

void TagDirectory::doubt() {
  const std::lock_guard lock(mutex_);
  recheck();
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  for (const auto& page : pages_)
    if (Bits* bits = page.load(std::memory_order_relaxed); bits != nullptr)
      for (auto& word : *bits) word.store(0, std::memory_order_relaxed);
}

}  // namespace larder::redis
