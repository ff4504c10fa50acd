#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/redis/tag_names.h"

namespace larder::redis {

/// SETs with tags that go to Redis in one call of a script.
///
/// Why: to call a script, and each command in it, costs Redis as much as a SET does. Of a batch one call
/// reads what the keys carry, one writes them, one writes the records and one each index.
///
/// All are done or none is, and they share one reply. So only what cannot fail by itself is taken: no
/// condition, no reply but OK, an expiry that Redis accepts. The script reads first, so a key comes once.
///
/// The script is not told that these are keys: a connection that feeds L1 would have Redis track them all, as
/// if it had read them.
///
/// Shape:  of one group of keys. Sizes are bounded, so that a batch does not hold Redis for long.
/// Thread: one worker.
class TagBatch {
 public:
  /// False: the request, which is a SET with tags, does not fit in, and the batch is as it was.
  [[nodiscard]] bool take(const Request& request, const TagGroup& group);

  [[nodiscard]] bool empty() const noexcept { return keys_ == 0; }

  /// How many SETs.
  [[nodiscard]] std::size_t size() const noexcept { return keys_; }

  /// Appends the call; nothing is in the batch then.
  void append_to(Bytes& out);

  void clear() noexcept;

 private:
  [[nodiscard]] bool has_room_for(const Request& request, std::uint64_t key_hash) const noexcept;

  std::size_t keys_ = 0;
  bool expires_ = false;     ///< one of them
  std::size_t carried_ = 0;  ///< tags of all keys
  std::string records_name_;
  std::vector<std::uint64_t> key_hashes_;
  Bytes pairs_, records_, expiries_;  ///< as they will stand in the request
  std::vector<ByteView> sorted_;      ///< room for one request's tags
  Bytes record_;
};

}  // namespace larder::redis
