#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/backend.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/transaction.h"

namespace larder::postgres {

/// One key of a batch: as the database has it, and as the batch's commands leave it.
struct Slot {
  explicit Slot(const KeyRef& named) : key(named) {}

  enum class State : std::uint8_t { unknown, absent, present };

  KeyRef key;        ///< the bytes are the batch's
  int commands = 0;  ///< how often it is named

  // For the L1.
  Epoch noted = 0;                          ///< when its last command was parsed
  std::optional<std::uint32_t> generation;  ///< of the L1's source at that time; none: not to be filled
  bool named_by_write = false;

  // The plan: load it first; a command in line before will have made it known; must be unchanged at the end.
  bool wants_load = false, becomes_known = false, is_checked = false;

  // As loaded. `seen` is the row's xmin, 0 without a row; an expired row is there but absent.
  State loaded = State::unknown;
  ByteView loaded_value;
  UnixMs loaded_expiry = kNoExpiry;
  ByteView loaded_tags;  ///< as PostgreSQL sent them (tag_columns.h)
  std::uint32_t seen = 0;

  // As the commands leave it.
  State state = State::unknown;
  ByteView value;
  UnixMs expire_at = kNoExpiry;
  std::optional<TagSet> tags;  ///< none: those that the row has
  bool dirty = false;
  bool was_live = false;  ///< a blind removal found it
  ReaderId author = 0;    ///< need not be told that the key has changed
  Bytes own;              ///< holds `value` when a handler edits it in place

  int next_same_hash = -1;

  [[nodiscard]] bool is_missing() const noexcept { return wants_load && loaded == State::unknown; }

  [[nodiscard]] bool is_live(UnixMs now_ms) const noexcept {
    return state == State::present && (expire_at == kNoExpiry || expire_at > now_ms);
  }
  [[nodiscard]] bool was_loaded_live(UnixMs now_ms) const noexcept {
    return loaded == State::present && (loaded_expiry == kNoExpiry || loaded_expiry > now_ms);
  }
};

/// Commands that wait together, in order of arrival, with copies of their bytes and one slot a key.
///
/// Life:   argument views and keys die with clear(). Invariant: slots do not move once the batch runs.
class Batch {
 public:
  struct Command {
    const CommandSpec* spec;
    Caller* caller;
    Ticket ticket;
    Protocol protocol;
    int db;
    UnixMs now_ms;
    std::uint32_t first_argument, argument_count;
    std::uint32_t first_key, key_count;
    bool is_heard_of = false;      ///< see Caller
    bool removes_blindly = false;  ///< DEL whose keys nobody else of the batch names
    bool is_watch = false;         ///< WATCH: the caller is a Watches::Request
    std::size_t reply_begin = 0, reply_end = 0;
  };

  /// Copies a command; `now_ms` is by the database's clock.
  Command& add(const Request& request, Ticket ticket, UnixMs now_ms, std::span<const KeyRef> keys);

  /// Loads the key also if no command names it, and checks that it is unchanged at the end.
  void want(const KeyRef& key) {
    Slot& slot = slots_[slot_index(key)];
    slot.wants_load = slot.is_checked = true;
  }

  /// Takes the commands from `begin` to `end` over from another batch, with what is known of their keys'
  /// epochs.
  void take(const Batch& other, std::size_t begin, std::size_t end);

  [[nodiscard]] Slot* find(const KeyRef& key) noexcept;
  [[nodiscard]] bool names(const KeyRef& key) const noexcept {
    return const_cast<Batch*>(this)->find(key) != nullptr;
  }

  [[nodiscard]] std::vector<Command>& commands() noexcept { return commands_; }
  [[nodiscard]] std::vector<Slot>& slots() noexcept { return slots_; }
  [[nodiscard]] Slot& slot_of(const Command& command, std::size_t key) noexcept {
    return slots_[command_slots_[command.first_key + key]];
  }
  [[nodiscard]] std::span<const ByteView> arguments(const Command& command) const noexcept {
    return std::span(arguments_).subspan(command.first_argument, command.argument_count);
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return commands_.empty(); }

  /// The batch is all of a transaction and nothing else.
  std::unique_ptr<Transaction> transaction;

  /// A command gave the tags of one key to another (tags_sql.cpp says why that matters).
  bool carries_tags = false;
  [[nodiscard]] std::size_t size() const noexcept { return commands_.size(); }

  /// Keeps what was loaded alive as long as the batch.
  void keep(Result result) { results_.push_back(std::move(result)); }

  /// Forgets what was loaded and done, so that the batch can run again.
  void rewind();

  /// Empties it for reuse; memory is kept, but not that of large values.
  void clear();

 private:
  ByteView copy(ByteView bytes);
  std::uint32_t slot_index(const KeyRef& key);
  void name_slot(std::uint32_t index);

  std::pmr::monotonic_buffer_resource arena_{64 << 10};
  std::vector<Command> commands_;
  std::vector<ByteView> arguments_;
  std::vector<std::uint32_t> command_slots_;
  std::vector<Slot> slots_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> slot_by_hash_;
  std::vector<Result> results_;
  std::size_t bytes_ = 0;
};

}  // namespace larder::postgres
