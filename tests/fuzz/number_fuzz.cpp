#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "value/number.h"

// What is an integer prints back the same; what a float prints is a float again.
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const larder::ByteView text(reinterpret_cast<const char*>(bytes), size);
  if (const auto integer = larder::parse_integer(text)) {
    require(larder::IntegerText(*integer).view() == text);
    require(larder::parse_long_double(text) == static_cast<long double>(*integer));
  }
  const auto real = larder::parse_long_double(text);
  if (!real || !std::isfinite(*real)) return 0;
  const std::string printed = larder::format_long_double(*real);
  require(larder::parse_long_double(printed).has_value());
  return 0;
}
