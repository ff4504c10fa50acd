#include "backend/redis/hash_slot.h"

#include <array>

namespace larder::redis {
namespace {

consteval std::array<std::uint16_t, 256> crc16_table() {
  constexpr std::uint32_t kPolynomial = 0x1021;
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ (crc & 0x8000 ? kPolynomial : 0);
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

constexpr std::array<std::uint16_t, 256> kCrc16 = crc16_table();

std::uint16_t crc16(ByteView bytes) noexcept {
  std::uint32_t crc = 0;
  for (const char byte : bytes)
    crc = ((crc << 8) ^ kCrc16[((crc >> 8) ^ static_cast<unsigned char>(byte)) & 0xff]) & 0xffff;
  return static_cast<std::uint16_t>(crc);
}

/// What stands between the first `{` and the first `}` behind it; the whole key if that is nothing.
ByteView hashed_part(ByteView key) noexcept {
  const std::size_t open = key.find('{');
  if (open == ByteView::npos) return key;
  const std::size_t close = key.find('}', open + 1);
  if (close == ByteView::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

}  // namespace

std::uint16_t hash_slot(ByteView key) noexcept {
  return crc16(hashed_part(key)) & (kHashSlots - 1);
}

}  // namespace larder::redis
