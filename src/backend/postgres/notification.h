#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "keyspace/records.h"

namespace larder::postgres {

/// Packs changed keys into the payloads of NOTIFY, which hold less than 8000 bytes of text.
///
/// Shape: `<who> <db>:<hex>,<db>:<hex>…`; `<who> *` means "everything" and replaces what would be too much.
class NotificationWriter {
 public:
  NotificationWriter(std::int64_t who, std::function<void(ByteView)> emit);

  void add(const KeyRef& key);
  void finish();

 private:
  void emit();

  const Bytes head_;
  const std::function<void(ByteView)> emit_;
  Bytes payload_;
  int payloads_ = 0;
  bool everything_ = false;
};

/// The other direction: calls `key` for each key, or `everything`.
///
/// Errors: what cannot be read counts as "everything".
void read_notification(ByteView keys, const std::function<void(int db, ByteView key)>& key,
                       const std::function<void()>& everything);

}  // namespace larder::postgres
