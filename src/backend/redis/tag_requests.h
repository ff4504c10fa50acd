#pragma once

#include <span>
#include <vector>

#include "backend/redis/known_commands.h"
#include "backend/redis/lane.h"
#include "backend/redis/tag_batch.h"
#include "backend/redis/tag_names.h"
#include "backend/redis/tag_scripts.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// Of one call of TAGKEYS: more would hold Redis for too long.
inline constexpr std::size_t kMostKeysAStep = 2000;

/// What EXEC's client gets of a queued command's reply.
enum class Shown : std::uint8_t {
  as_it_is,
  without_names,  ///< of KEYS or SCAN: without the bookkeeping
  count,          ///< of a sweep that tells: without the keys
  not_at_all,     ///< nobody has queued it
};

/// What Redis gets in place of the requests that have to do with tags.
///
/// A request stays what it was, for L1, for the order of its client and in case it must be sent again; only
/// when its bytes are appended to a connection they become a script's. So a redirect or a new master
/// needs nothing of its own.
///
/// Thread: one worker; `state` is shared with the others.
class TagRequests {
 public:
  TagRequests(TagState& state, const KnownCommands& commands, Topology& topology)
      : state_(state), commands_(commands), topology_(topology) {}

  /// Whether Redis gets something else than the request's own bytes.
  [[nodiscard]] bool replaces(const Request& request, const Route& route) const;

  /// Puts a request that replaces() means into a batch; false: it goes alone.
  [[nodiscard]] bool joins(const Request& request, const Route& route, TagBatch& batch);

  /// Appends what Redis gets on `lane`. Shape: the request is one that replaces() means; one reply will come
  /// for each of its own, of the same kind.
  void append(const Request& request, const Route& route, const Lane& lane, Bytes& out);

  /// Appends what Redis gets in place of EXEC's block, and what becomes of the reply to each command of it.
  void append_block(const Request& exec, const Route& route, const Lane& lane, Bytes& out,
                    std::vector<Shown>& shown);

  /// Appends a request that forgets the tags of those of the keys that are gone; false when there is no need.
  [[nodiscard]] bool append_tidy(const Request& request, const Route& route, Bytes& out);

  /// Appends a call of a script.
  static void append_call(TagScript script, std::span<const ByteView> keys,
                          std::span<const ByteView> arguments, Bytes& out);

 private:
  void append_set(const Request& request, Bytes& out);
  void append_change(const Request& request, TagScript script, Bytes& out);
  void append_carry(const Request& request, Bytes& out);
  void append_move(const Request& request, Bytes& out);
  void append_sweep(const Request& request, const TagGroup& group, Bytes& out);
  void append_keys(const Request& request, const TagGroup& group, std::uint64_t cursor, Bytes& out);
  void append_part(const Request& request, const Route& route, std::optional<ByteView> key_of_block,
                   Bytes& out);
  void append_slot_question(const Request& request, Bytes& out);
  void append_sizes(const Lane& lane, Bytes& out);
  [[nodiscard]] TagGroup group_of(ByteView key) const;
  [[nodiscard]] bool may_hide_in_slot(const Request& request) const;

  TagState& state_;
  const KnownCommands& commands_;
  Topology& topology_;
  std::vector<std::string> names_;  ///< room for one request's
  std::vector<ByteView> keys_, arguments_;
};

/// A reply of KEYS or SCAN without the keys that begin with `prefix`; nothing: there are none in it.
[[nodiscard]] std::optional<Bytes> without_names(ByteView reply, ByteView prefix);

}  // namespace larder::redis
