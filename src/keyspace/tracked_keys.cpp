#include "keyspace/tracked_keys.h"

#include <algorithm>
#include <iterator>

namespace larder {

void TrackedKeys::join(Mode mode) noexcept {
  if (mode == Mode::all) ++broadcasting_;
  ++audience_size_;
}

/// The last one takes the table along: nobody would look into it.
void TrackedKeys::leave(Mode mode) noexcept {
  if (mode == Mode::all) --broadcasting_;
  if (--audience_size_ > 0) return;
  forget_all();
  // Somebody who has come meanwhile may have been forgotten too.
  if (any()) audience_->tell_all();
}

void TrackedKeys::add(ByteView key, ReaderId reader) {
  Stripe& stripe = stripe_of(key);
  {
    const std::lock_guard lock(stripe.mutex);
    std::vector<ReaderId>& ids = readers_of(stripe, key).ids;
    if (std::ranges::find(ids, reader) != ids.end()) return;
    ids.push_back(reader);
    ++items_;
  }
  const std::uint64_t most = most_keys_.load(std::memory_order_relaxed);
  while (most > 0 && keys() > most) evict();
}

TrackedKeys::Readers& TrackedKeys::readers_of(Stripe& stripe, ByteView key) {
  auto found = stripe.table.find(key);
  if (found == stripe.table.end()) {
    found = stripe.table.try_emplace(Bytes(key)).first;
    ++keys_;
  }
  return found->second;
}

void TrackedKeys::watch(ByteView key, const Touched& touched) {
  ++audience_size_;
  ++watches_;
  Stripe& stripe = stripe_of(key);
  const std::lock_guard lock(stripe.mutex);
  readers_of(stripe, key).watches.push_back(touched);
}

void TrackedKeys::unwatch(ByteView key, const Touched& touched) {
  Stripe& stripe = stripe_of(key);
  {
    const std::lock_guard lock(stripe.mutex);
    if (const auto found = stripe.table.find(key); found != stripe.table.end()) {
      std::erase(found->second.watches, touched);
      if (found->second.ids.empty() && found->second.watches.empty()) static_cast<void>(take(stripe, found));
    }
  }
  --watches_;
  --audience_size_;
}

void TrackedKeys::tell_readers(const Table::node_type& entry) {
  for (const Touched& touched : entry.mapped().watches) touched->store(true);
  if (!entry.mapped().ids.empty()) audience_->tell(entry.mapped().ids, entry.key());
}

void TrackedKeys::expires(ByteView key, UnixMs at) {
  Stripe& stripe = stripe_of(key);
  const std::lock_guard lock(stripe.mutex);
  if (const auto found = stripe.table.find(key); found != stripe.table.end()) set_expiry(stripe, *found, at);
}

void TrackedKeys::set_expiry(Stripe& stripe, Table::value_type& entry, UnixMs at) {
  UnixMs& expires_at = entry.second.expires_at;
  if (expires_at == at) return;
  if (expires_at != 0) expiring_ -= stripe.expiring.erase({expires_at, entry.first});
  expires_at = at;
  if (at != 0) expiring_ += stripe.expiring.emplace(at, entry.first).second;
}

/// Takes an entry out of the table.
TrackedKeys::Table::node_type TrackedKeys::take(Stripe& stripe, Table::const_iterator found) {
  Table::node_type entry = stripe.table.extract(found);
  if (entry.mapped().expires_at != 0)
    expiring_ -= stripe.expiring.erase({entry.mapped().expires_at, entry.key()});
  --keys_;
  items_ -= entry.mapped().ids.size();
  return entry;
}

void TrackedKeys::tell_of(ByteView key, ReaderId author) {
  if (broadcasts_changes_ && broadcasting_.load(std::memory_order_relaxed) > 0)
    audience_->broadcast(key, author);
  Stripe& stripe = stripe_of(key);
  Table::node_type entry;
  {
    const std::lock_guard lock(stripe.mutex);
    const auto found = stripe.table.find(key);
    if (found == stripe.table.end()) return;
    entry = take(stripe, found);
  }
  std::erase(entry.mapped().ids, author);
  tell_readers(entry);
}

void TrackedKeys::tell_of_everything() {
  forget_all();
  audience_->tell_all();
}

void TrackedKeys::forget_all() {
  for (Stripe& stripe : stripes_) {
    Table forgotten;  // freed without the lock
    const std::lock_guard lock(stripe.mutex);
    keys_ -= stripe.table.size();
    for (const auto& [key, readers] : stripe.table) {
      items_ -= readers.ids.size();
      for (const Touched& touched : readers.watches) touched->store(true);
    }
    expiring_ -= stripe.expiring.size();
    stripe.expiring.clear();
    forgotten.swap(stripe.table);
  }
}

void TrackedKeys::expire(UnixMs now_ms) {
  if (expiring_.load(std::memory_order_relaxed) == 0) return;
  for (Stripe& stripe : stripes_) {
    std::vector<Table::node_type> gone;
    {
      const std::lock_guard lock(stripe.mutex);
      while (!stripe.expiring.empty() && stripe.expiring.begin()->first <= now_ms)
        gone.push_back(take(stripe, stripe.table.find(stripe.expiring.begin()->second)));
    }
    for (const Table::node_type& entry : gone) tell_readers(entry);
  }
}

/// Tells of a key of a stripe, one after the other, that has any.
void TrackedKeys::evict() {
  for (std::size_t i = 0; i < kStripes; ++i) {
    Stripe& stripe = stripes_[evict_position_.fetch_add(1, std::memory_order_relaxed) % kStripes];
    Table::node_type entry;
    {
      const std::lock_guard lock(stripe.mutex);
      entry = take_any(stripe);
    }
    if (entry) return tell_readers(entry);
  }
}

/// From a bucket that moves on, so that no key is spared for ever.
TrackedKeys::Table::node_type TrackedKeys::take_any(Stripe& stripe) {
  Table& table = stripe.table;
  if (table.empty()) return {};
  const std::size_t from = evict_position_.load(std::memory_order_relaxed) / kStripes;
  for (std::size_t i = 0;; ++i) {
    const std::size_t bucket = (from + i) % table.bucket_count();
    if (table.bucket_size(bucket) > 0) return take(stripe, table.find(table.begin(bucket)->first));
  }
}

}  // namespace larder
