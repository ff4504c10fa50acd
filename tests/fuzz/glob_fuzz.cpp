#include <cstdint>
#include <cstdlib>

#include "command/glob.h"

// The first byte says where the pattern ends and the text begins. A pattern must end in reasonable time, and
// a text with all its bytes escaped must match itself, alone and among stars.
namespace {

larder::Bytes escape(larder::ByteView text) {
  larder::Bytes pattern;
  for (const char c : text) pattern.append({'\\', c});
  return pattern;
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const larder::ByteView input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const larder::ByteView pattern = input.substr(0, bytes[0]);
  const larder::ByteView text = input.substr(pattern.size());

  (void)larder::glob_matches(pattern, text);
  (void)larder::glob_matches(pattern, text, larder::LetterCase::ignored);
  const larder::Bytes escaped = escape(text);
  require(larder::glob_matches(escaped, text));
  require(larder::glob_matches(escaped, text, larder::LetterCase::ignored));
  require(larder::glob_matches("*" + escaped + "*", text) == !text.empty());
  return 0;
}
