#pragma once

#include <string>

#include "base/bytes.h"

namespace larder::redis {

/// The names of the bookkeeping of a group of keys: of those of a database.
///
/// Source of the layout: tag_scripts.h.
class TagGroup {
 public:
  explicit TagGroup(std::string names_begin) : begin_(std::move(names_begin)) {}

  [[nodiscard]] std::string records() const { return begin_ + 'r'; }
  [[nodiscard]] std::string index(ByteView tag) const { return (begin_ + "i:").append(tag); }

 private:
  std::string begin_;
};

}  // namespace larder::redis
