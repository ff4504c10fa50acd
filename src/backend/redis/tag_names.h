#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backend/redis/hash_slot.h"
#include "backend/redis/slot_name.h"
#include "base/bytes.h"

namespace larder::redis {

/// The names of the bookkeeping of a group of keys: of those of a database or, in a cluster, of a hash slot.
///
/// A script that changes a slot must find all of the slot there, or run not at all. So it is told a name that
/// never exists, `x`, among its keys: of a slot that is on its way Redis does not run what names both a key
/// that is there and one that is not, nor anything of several keys where the slot arrives.
///
/// Source of the layout: tag_scripts.h.
class TagGroup {
 public:
  [[nodiscard]] static TagGroup of_database(const std::string& prefix) { return {prefix, 'r'}; }
  [[nodiscard]] static TagGroup of_slot(const std::string& prefix, std::uint16_t slot) {
    return {prefix + '{' + slot_name(slot) + "}:", 'x'};
  }

  [[nodiscard]] const std::string& begin() const noexcept { return begin_; }
  [[nodiscard]] std::string records() const { return begin_ + 'r'; }
  [[nodiscard]] std::string registry() const { return begin_ + 't'; }
  [[nodiscard]] std::string journal() const { return begin_ + 'j'; }
  [[nodiscard]] std::string index(ByteView tag) const { return (begin_ + "i:").append(tag); }

  /// What a script gets to know the group by, beside keys of the group.
  [[nodiscard]] std::string handle() const { return begin_ + handle_; }

  /// The keys of a script that names no other ones.
  [[nodiscard]] std::vector<std::string> own_keys() const {
    return handle_ == 'r' ? std::vector{records()} : std::vector{handle(), records()};
  }

 private:
  TagGroup(std::string begin, char handle) : begin_(std::move(begin)), handle_(handle) {}

  std::string begin_;
  char handle_;
};

}  // namespace larder::redis
