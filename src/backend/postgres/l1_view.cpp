#include "backend/postgres/l1_view.h"

#include "backend/postgres/row_size.h"

namespace larder::postgres {

std::optional<Item> L1View::find(const KeyRef& key) {
  std::optional<Item> found;
  const Lookup lookup = keyspace_.read(key, now_ms_, [&](const Item& item) {
    found = item;
    found->value = values_.emplace_back(item.value);
  });
  missed_ = missed_ || lookup == Lookup::miss;
  if (found) note_expiry(keyspace_, key, found->expire_at);
  return found;
}

std::size_t L1View::memory_usage(const KeyRef& key) {
  const std::optional<Item> item = find(key);
  return item ? row_bytes(key, *item) : 0;
}

std::span<char> L1View::edit(const KeyRef&, std::size_t size) {
  missed_ = true;
  return values_.emplace_back(size, '\0');
}

bool L1View::erase(const KeyRef&) {
  missed_ = true;
  return false;
}

TagSet L1View::tags(const KeyRef&) {
  missed_ = true;
  return {};
}

}  // namespace larder::postgres
