#include "base/hash.h"

#include <cstring>
#include <random>

namespace larder {
namespace {

constexpr std::uint64_t kMix0 = 0x9e3779b97f4a7c15;
constexpr std::uint64_t kMix1 = 0xd6e8feb86659fd93;
constexpr std::uint64_t kMix2 = 0xa0761d6478bd642f;

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) ^ device();
}

const std::uint64_t kSeed = random_seed();

std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  const Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load8(const char* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

std::uint64_t load4(const char* p) noexcept {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

}  // namespace

std::uint64_t hash_bytes(ByteView bytes) noexcept {
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t state = kSeed ^ fold(left ^ kMix0, kMix1);
  for (; left > 16; p += 16, left -= 16) state = fold(load8(p) ^ kMix1 ^ state, load8(p + 8) ^ kMix2);

  // The last 1 to 16 bytes are two overlapping words: no byte loop, no read past the end.
  std::uint64_t a = 0, b = 0;
  if (left >= 8) {
    a = load8(p);
    b = load8(p + left - 8);
  } else if (left >= 4) {
    a = load4(p);
    b = load4(p + left - 4);
  } else if (left > 0) {
    a = static_cast<unsigned char>(p[0]) | static_cast<std::uint64_t>(static_cast<unsigned char>(p[left / 2]))
                                               << 8;
    b = static_cast<unsigned char>(p[left - 1]);
  }
  state = fold(a ^ kMix1 ^ state, b ^ kMix2);
  return fold(state ^ kMix0, kMix2 ^ bytes.size());
}

}  // namespace larder
