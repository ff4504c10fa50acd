#include "backend/memory/watches.h"

#include <algorithm>

namespace larder::memory {

void Watches::add(const Request& request) {
  Watch& watch = by_caller_[&request.caller];
  request.caller.holds.watching = true;
  std::vector<KeyRef> keys;
  const Call call{request.argv, request.caller.db(), request.now_ms, request.reply};
  collect_keys(*request.spec, call, keys);
  // What has expired already is gone now, so that its end is no change.
  Keyspace::Locked records(keyspace_, keys, request.now_ms);
  for (const KeyRef& key : keys) {
    static_cast<void>(records.find(key));
    const auto is_same = [&key](const Key& known) { return known.db == key.db && known.bytes == key.bytes; };
    if (std::ranges::any_of(watch.keys, is_same)) continue;
    watch.keys.push_back({key.db, Bytes(key.bytes)});
    keyspace_.tracked().watch(key.bytes, watch.touched);
  }
  request.reply.ok();
}

void Watches::drop(Caller& caller) {
  const auto found = by_caller_.find(&caller);
  if (found == by_caller_.end()) return;
  for (const Key& key : found->second.keys) keyspace_.tracked().unwatch(key.bytes, found->second.touched);
  by_caller_.erase(found);
  caller.holds.watching = false;
}

void Watches::append_keys(const Caller& caller, std::vector<KeyRef>& keys) const {
  const auto found = by_caller_.find(&caller);
  if (found == by_caller_.end()) return;
  for (const Key& key : found->second.keys) keys.emplace_back(key.db, key.bytes);
}

bool Watches::is_touched(const Caller& caller, Keyspace::Locked& records) const {
  const auto found = by_caller_.find(&caller);
  if (found == by_caller_.end()) return false;
  // Who has expired meanwhile is found out by looking.
  for (const Key& key : found->second.keys) static_cast<void>(records.find(KeyRef(key.db, key.bytes)));
  return found->second.touched->load();
}

}  // namespace larder::memory
