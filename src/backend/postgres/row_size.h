#pragma once

#include "keyspace/records.h"

namespace larder::postgres {

/// About what a key takes in the database: key and value as they are, and what PostgreSQL adds to every row.
[[nodiscard]] inline std::size_t row_bytes(const KeyRef& key, const Item& item) noexcept {
  constexpr std::size_t kRowOverhead =
      23 + 1 + 4 + 2 + 8;  // tuple header, null map, line pointer, db, lengths and padding
  const std::size_t expiry = item.expire_at == kNoExpiry ? 0 : sizeof(UnixMs);
  return kRowOverhead + key.bytes.size() + item.value.size() + expiry;
}

}  // namespace larder::postgres
