#pragma once

#include "backend/postgres/batch.h"
#include "keyspace/records.h"

namespace larder::postgres {

/// What a handler sees of a batch's keys: copies of the rows, changed by the commands that ran before it.
///
/// Invariant: touching a key that was not loaded makes missed() true; the run is then worth nothing, the key
/// is marked for loading, and the batch runs again from its start.
class LoadedRecords final : public Records {
 public:
  explicit LoadedRecords(Batch& batch);

  /// The command whose handler runs next: its clock, and arguments that put() need not copy.
  void begin(const Batch::Command& command);
  /// Removes whatever is there; the database will tell whether something was.
  void erase_blindly(Slot& slot) noexcept;
  [[nodiscard]] bool missed() const noexcept { return missed_; }

  std::optional<Item> find(const KeyRef& key) override;
  void put(const KeyRef& key, ByteView value, UnixMs expire_at) override;
  std::span<char> edit(const KeyRef& key, std::size_t size) override;
  void set_expiry(const KeyRef& key, UnixMs expire_at) override;
  bool erase(const KeyRef& key) override;
  TagSet tags(const KeyRef& key) override;
  void set_tags(const KeyRef& key, const TagSet& tags) override;
  void carry_tags(const KeyRef& from, const KeyRef& to) override;
  std::size_t memory_usage(const KeyRef& key) override;
  int frequency(const KeyRef&) override { return 0; }

 private:
  Slot* known(const KeyRef& key);
  void begin_anew(Slot& slot) const;
  [[nodiscard]] bool is_argument(ByteView value) const noexcept;

  Batch& batch_;
  std::span<const ByteView> arguments_;
  UnixMs now_ms_ = 0;
  bool missed_ = false;
  Bytes scratch_;  ///< lent by edit() when the key is not known
};

}  // namespace larder::postgres
