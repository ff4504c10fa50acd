#include "base/units.h"

#include <array>
#include <string>

#include <doctest/doctest.h>

namespace larder {
namespace {

using namespace std::chrono_literals;

struct SizeCase {
  std::string_view text;
  std::optional<std::uint64_t> bytes;
};

TEST_CASE("byte size: units are those of redis.conf, in any case") {
  constexpr std::array kCases{
      SizeCase{"0", 0},
      SizeCase{"100", 100},
      SizeCase{"100b", 100},
      SizeCase{"1k", 1'000},
      SizeCase{"1kb", 1'024},
      SizeCase{"3m", 3'000'000},
      SizeCase{"64mb", 64ULL << 20},
      SizeCase{"64MB", 64ULL << 20},
      SizeCase{"2g", 2'000'000'000},
      SizeCase{"1Gb", 1ULL << 30},
      SizeCase{"9223372036854775807", 9'223'372'036'854'775'807ULL},
      SizeCase{"9223372036854775808", std::nullopt},
      SizeCase{"18446744073709551616", std::nullopt},
      SizeCase{"8589934592gb", std::nullopt},
      SizeCase{"", std::nullopt},
      SizeCase{"mb", std::nullopt},
      SizeCase{"-1", std::nullopt},
      SizeCase{"+1", std::nullopt},
      SizeCase{" 1", std::nullopt},
      SizeCase{"1 mb", std::nullopt},
      SizeCase{"1mb ", std::nullopt},
      SizeCase{"1.5gb", std::nullopt},
      SizeCase{"1tb", std::nullopt},
      SizeCase{"1kbb", std::nullopt},
  };
  for (const SizeCase& c : kCases) {
    CAPTURE(c.text);
    CHECK(parse_byte_size(c.text) == c.bytes);
  }
}

TEST_CASE("byte size: the printed text is short and reads back as the same number") {
  CHECK(byte_size_text(0) == "0");
  CHECK(byte_size_text(1000) == "1000");
  CHECK(byte_size_text(1024) == "1kb");
  CHECK(byte_size_text(1536) == "1536");
  CHECK(byte_size_text(512ULL << 20) == "512mb");
  CHECK(byte_size_text(1ULL << 40) == "1024gb");
  for (std::uint64_t bytes = 1; bytes < 1ULL << 62; bytes = bytes * 3 + 1) {
    CHECK(parse_byte_size(byte_size_text(bytes)) == bytes);
  }
}

struct DurationCase {
  std::string_view text;
  std::optional<std::chrono::microseconds> time;
};

TEST_CASE("duration: a number needs a unit, except 0") {
  constexpr std::array kCases{
      DurationCase{"0", 0us},
      DurationCase{"0s", 0us},
      DurationCase{"250us", 250us},
      DurationCase{"500ms", 500ms},
      DurationCase{"10s", 10s},
      DurationCase{"10S", 10s},
      DurationCase{"5m", 5min},
      DurationCase{"2h", 2h},
      DurationCase{"7d", 168h},
      DurationCase{"36500d", 876'000h},
      DurationCase{"36501d", std::nullopt},
      DurationCase{"18446744073709551615d", std::nullopt},
      DurationCase{"10", std::nullopt},
      DurationCase{"", std::nullopt},
      DurationCase{"s", std::nullopt},
      DurationCase{"-1s", std::nullopt},
      DurationCase{"1 s", std::nullopt},
      DurationCase{"1.5s", std::nullopt},
      DurationCase{"1sec", std::nullopt},
  };
  for (const DurationCase& c : kCases) {
    CAPTURE(c.text);
    CHECK(parse_duration(c.text) == c.time);
  }
}

TEST_CASE("duration: a bare number is seconds where the caller says so") {
  CHECK(parse_duration("300", BareNumber::seconds) == 300s);
  CHECK(parse_duration("300ms", BareNumber::seconds) == 300ms);
  CHECK(parse_duration("x", BareNumber::seconds) == std::nullopt);
}

TEST_CASE("duration: the printed text is short and reads back as the same time") {
  CHECK(duration_text(0us) == "0");
  CHECK(duration_text(90s) == "90s");
  CHECK(duration_text(120s) == "2m");
  CHECK(duration_text(1500ms) == "1500ms");
  CHECK(duration_text(24h) == "1d");
  for (std::chrono::microseconds time{1}; time < 876'000h; time = time * 3 + 1us) {
    CHECK(parse_duration(duration_text(time)) == time);
  }
}

}  // namespace
}  // namespace larder
