#include "backend/postgres/watches.h"

#include <algorithm>

namespace larder::postgres {

Watches::Request::Request(Watches& watches, Caller& client, std::span<const KeyRef> keys)
    : watches_(watches), client_(client), ticket_(client.defer()) {
  stand_in_for(client);
  for (const KeyRef& key : keys) keys_.push_back({key.db, Bytes(key.bytes)});
}

void Watches::Request::see(std::size_t key, std::uint32_t xmin, bool is_live) noexcept {
  keys_[key].seen = xmin;
  keys_[key].was_live = is_live;
  has_seen_ = true;
}

/// Without a row seen, the reply is an error.
void Watches::Request::finish(Ticket) {
  if (has_seen_) {
    if (client_.holds.watching) {
      std::vector<Key>& known = watches_.by_caller_[&client_];
      for (Key& key : keys_) {
        const auto is_same = [&key](const Key& one) { return one.db == key.db && one.bytes == key.bytes; };
        if (std::ranges::none_of(known, is_same)) known.push_back(std::move(key));
      }
    }
    client_.reply_to(ticket_).ok();
  }
  client_.finish(ticket_);
  watches_.requests_.erase(this);
}

Watches::Request& Watches::begin(Caller& client, std::span<const KeyRef> keys) {
  client.holds.watching = true;
  auto request = std::make_unique<Request>(*this, client, keys);
  Request& begun = *request;
  requests_.emplace(&begun, std::move(request));
  return begun;
}

void Watches::drop(Caller& caller) {
  static_cast<void>(take(caller));
}

std::vector<Watches::Key> Watches::take(Caller& caller) {
  caller.holds.watching = false;
  const auto found = by_caller_.find(&caller);
  if (found == by_caller_.end()) return {};
  std::vector<Key> keys = std::move(found->second);
  by_caller_.erase(found);
  return keys;
}

}  // namespace larder::postgres
