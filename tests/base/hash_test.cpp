#include "base/hash.h"

#include <set>
#include <string>

#include <doctest/doctest.h>

namespace larder {

TEST_CASE("hash: equal bytes hash equal wherever they lie") {
  const std::string padded = "xxkey";
  CHECK(hash_bytes("key") == hash_bytes(ByteView(padded).substr(2)));
}

TEST_CASE("hash: keys that differ in one byte or in length differ, at every length up to 200") {
  std::set<std::uint64_t> seen;
  std::string key;
  for (int length = 0; length < 200; ++length) {
    CHECK(seen.insert(hash_bytes(key)).second);
    std::string other = key + '\0';
    other.back() = '\1';
    CHECK(seen.insert(hash_bytes(other)).second);
    key.push_back('\0');
  }
}

TEST_CASE("map_to_range: keeps the order of the hashes and stays inside the range") {
  constexpr std::uint64_t kRange = 1000;
  CHECK(map_to_range(0, kRange) == 0);
  CHECK(map_to_range(~std::uint64_t{0}, kRange) == kRange - 1);
  CHECK(map_to_range(std::uint64_t{1} << 63, kRange) == kRange / 2);
}

}  // namespace larder
