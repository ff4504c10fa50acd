#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace larder::redis {

/// What runs inside of Redis so that a value and what is known of its tags change together.
///
/// The bookkeeping of a group of keys (all keys of a database, or of a slot of a cluster) is under names that
/// begin alike. A script gets one of them, other than by its last letter it is that of the first:
///   r      a hash, key to its tags (MessagePack): what the key carries
///   i:TAG  a hash whose fields are the keys that carry TAG; a hash, as small ones are packed
///   t      a sorted set of the tags that have an index, in the order of their bytes
///   m      while a sweep runs: a list of the keys that may have moved to where it was from where it is still
///   to
///          come; its first element is like no other list's
/// Beside them, once for all databases, lies `j`: see tag_journal.h.
///
/// Invariant: a key that carries a tag is in the tag's index, and a tag with an index is in `t`. The converse
/// may fail: a key may be gone unseen. A key in an index but without a record is taken to carry the tag.
enum class TagScript : std::uint8_t {
  set,       ///< KEYS key r i… ARGV record when value option…
  set_many,  ///< ARGV r (number of keys) (key value)… record… (command time)…: see tag_batch.h
  add,       ///< KEYS key r i… ARGV most error tag…
  remove,    ///< KEYS key r ARGV tag…
  list,      ///< KEYS key r
  carry,     ///< KEYS from to r ARGV database RENAME|RENAMENX|COPY option…; database: '' is its own
  move,      ///< KEYS key r ARGV database
  tidy,      ///< KEYS or ARGV r key…: what is known of those that are gone
  keys,      ///< KEYS r ARGV tag reach cursor count
  sweep,     ///< KEYS r ARGV drop|tell|count|clean budget reach place cursor log walked tag other…
  whole,     ///< KEYS r ARGV tell|count reach any|all most refusal tag…: a sweep of one step
  prune,     ///< KEYS r ARGV cursor count
  size,      ///< ARGV group…: DBSIZE without the bookkeeping of these
  slot,  ///< ARGV slot group prefix most: CLUSTER COUNTKEYSINSLOT without it; GETKEYSINSLOT unless `most` is
         ///< ''
  pick,  ///< ARGV prefix: RANDOMKEY past the bookkeeping
  journal,  ///< KEYS j ARGV lease most (number of members to be moved on) member…: see tag_journal.h
};
inline constexpr std::size_t kTagScripts = 16;

struct LoadedScript {
  Bytes body;
  std::string sha;
};

/// The scripts as Redis gets them, by TagScript.
[[nodiscard]] const std::array<LoadedScript, kTagScripts>& tag_scripts();

[[nodiscard]] inline const LoadedScript& loaded(TagScript script) {
  return tag_scripts()[static_cast<std::size_t>(script)];
}

}  // namespace larder::redis
