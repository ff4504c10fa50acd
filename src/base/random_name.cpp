#include "base/random_name.h"

#include <random>

#include <fmt/format.h>

namespace larder {

std::string random_name() {
  constexpr std::size_t kDigits = 40;
  std::random_device device;
  std::string name;
  while (name.size() < kDigits) name += fmt::format("{:08x}", device());
  return name;
}

}  // namespace larder
