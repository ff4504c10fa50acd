#pragma once

#include "base/bytes.h"

namespace larder {

/// The data type of a record, in the words of Redis' TYPE.
enum class Type : unsigned char {
  none,
  string,
  answers,  ///< L1 only: of what type the value is, is not known, but what Redis answered to reads of it
};

[[nodiscard]] constexpr ByteView type_name(Type type) noexcept {
  return type == Type::string ? "string" : "none";
}

}  // namespace larder
