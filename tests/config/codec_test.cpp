#include "config/codec.h"

#include <array>

#include <doctest/doctest.h>

namespace larder::config {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

template <class T>
struct TextCase {
  std::string_view text;
  std::optional<T> value;
};

template <class T>
void check(const Codec<T>& codec, const std::vector<TextCase<T>>& cases) {
  for (const TextCase<T>& c : cases) {
    CAPTURE(c.text);
    CHECK(bool(codec.parse(c.text) == c.value));
    if (c.value) CHECK(bool(codec.parse(codec.print(*c.value)) == c.value));
  }
}

TEST_CASE("codec: an integer is decimal digits within its bounds") {
  check<std::uint16_t>(integer<std::uint16_t>(1, 65535), {{"1", 1},
                                                          {"65535", 65535},
                                                          {"0", std::nullopt},
                                                          {"65536", std::nullopt},
                                                          {"-1", std::nullopt},
                                                          {"+1", std::nullopt},
                                                          {"1.0", std::nullopt},
                                                          {"1 ", std::nullopt},
                                                          {"", std::nullopt},
                                                          {"99999999999999999999", std::nullopt}});
  CHECK(integer<unsigned>(1, 64).allowed == "an integer from 1 to 64");
}

TEST_CASE("codec: a boolean may be written as environment variables do") {
  check<bool>(boolean(), {{"true", true},
                          {"TRUE", true},
                          {"1", true},
                          {"yes", true},
                          {"on", true},
                          {"false", false},
                          {"0", false},
                          {"No", false},
                          {"off", false},
                          {"", std::nullopt},
                          {"2", std::nullopt},
                          {"enabled", std::nullopt}});
}

TEST_CASE("codec: a choice is one of its names, and the empty name is not advertised") {
  const auto codec = choice<int>({{"one", 1}, {"uno", 1}, {"two", 2}, {"", 0}});
  check<int>(codec,
             {{"one", 1}, {"uno", 1}, {"two", 2}, {"", 0}, {"One", std::nullopt}, {"on", std::nullopt}});
  CHECK(codec.print(1) == "one");
  CHECK(codec.allowed == R"("one" or "uno" or "two")");
}

TEST_CASE("codec: a duration must fit its unit and its bounds") {
  check<std::chrono::seconds>(duration(0s, 100s, BareNumber::seconds), {{"0", 0s},
                                                                        {"100", 100s},
                                                                        {"2000ms", 2s},
                                                                        {"1500ms", std::nullopt},
                                                                        {"101", std::nullopt},
                                                                        {"-1", std::nullopt}});
  check<std::chrono::milliseconds>(duration(1ms, std::chrono::milliseconds(1h)), {{"1ms", 1ms},
                                                                                  {"1h", 1h},
                                                                                  {"0", std::nullopt},
                                                                                  {"5", std::nullopt},
                                                                                  {"61m", std::nullopt},
                                                                                  {"500us", std::nullopt}});
  CHECK(duration(0s, 100s, BareNumber::seconds).allowed.find("bare number is seconds") != std::string::npos);
  CHECK(duration(0s, 100s).allowed.find("bare") == std::string::npos);
}

TEST_CASE("codec: what may be off is off or a value") {
  using Threshold = std::optional<std::chrono::microseconds>;
  check<Threshold>(or_off(duration(0us, std::chrono::microseconds(1s))), {{"off", Threshold()},
                                                                          {"0", Threshold(0us)},
                                                                          {"10ms", Threshold(10ms)},
                                                                          {"2s", std::nullopt},
                                                                          {"-1", std::nullopt},
                                                                          {"OFF", std::nullopt}});
}

TEST_CASE("codec: a byte size keeps to its bounds") {
  check<std::uint64_t>(byte_size(1024, 1 << 20), {{"1kb", 1024},
                                                  {"1mb", 1 << 20},
                                                  {"2000", 2000},
                                                  {"1k", std::nullopt},
                                                  {"2mb", std::nullopt},
                                                  {"1.5mb", std::nullopt}});
}

TEST_CASE("codec: the memory of L1 is off, a size or a share") {
  check<std::uint64_t>(memory_share(), {{"0", 0},
                                        {"64mb", 64 << 20},
                                        {"25%", memory_share_bytes(25)},
                                        {"90%", memory_share_bytes(90)},
                                        {"91%", std::nullopt},
                                        {"0%", std::nullopt},
                                        {"%", std::nullopt},
                                        {"-5%", std::nullopt},
                                        {"1kb", std::nullopt}});
}

TEST_CASE("codec: addresses to listen on are IP addresses") {
  check<Strings>(ip_addresses(), {{"127.0.0.1", Strings{"127.0.0.1"}},
                                  {"127.0.0.1,::1", Strings{"127.0.0.1", "::1"}},
                                  {"", Strings{}},
                                  {"0.0.0.0", Strings{"0.0.0.0"}},
                                  {"localhost", std::nullopt},
                                  {"*", std::nullopt},
                                  {"127.0.0.1,", std::nullopt},
                                  {"127.0.0.1, ::1", std::nullopt},
                                  {"[::1]", std::nullopt},
                                  {"127.0.0.1:6379", std::nullopt}});
}

TEST_CASE("codec: the path of a Unix socket must fit the kernel's 107 bytes") {
  const std::string fits(107, 'a');
  CHECK(socket_path().parse(fits) == fits);
  CHECK_FALSE(socket_path().parse(fits + "a"));
}

TEST_CASE("codec: a file mode is octal") {
  check<std::uint32_t>(file_mode(), {{"700", 0700u},
                                     {"0755", 0755u},
                                     {"0", 0u},
                                     {"777", 0777u},
                                     {"1777", std::nullopt},
                                     {"800", std::nullopt},
                                     {"", std::nullopt},
                                     {"rwx", std::nullopt}});
}

TEST_CASE("codec: a directory is an absolute path or the default") {
  check<std::filesystem::path>(directory(),
                               {{"/srv/larder", "/srv/larder"}, {"", ""}, {"srv", std::nullopt}});
}

TEST_CASE("codec: a schema name needs no quotes in SQL") {
  check<std::string>(schema_name(), {{"larder", "larder"},
                                     {"_x9", "_x9"},
                                     {"", std::nullopt},
                                     {"9x", std::nullopt},
                                     {"pg_larder", std::nullopt},
                                     {"Larder", std::nullopt},
                                     {"a-b", std::nullopt},
                                     {"a\"; drop schema public", std::nullopt}});
  CHECK(schema_name().parse(std::string(40, 'a')));
  CHECK_FALSE(schema_name().parse(std::string(41, 'a')));
}

TEST_CASE("codec: an output limit is hard, soft and time, or hard alone") {
  check<OutputLimit>(output_limit(), {{"0", OutputLimit{}},
                                      {"32mb", OutputLimit{.hard_bytes = 32 << 20}},
                                      {"32mb 8mb 60s", OutputLimit{32 << 20, 8 << 20, 60s}},
                                      {"32mb 8mb 60", OutputLimit{32 << 20, 8 << 20, 60s}},
                                      {"0 0 0", OutputLimit{}},
                                      {"", std::nullopt},
                                      {"1 2", std::nullopt},
                                      {"1 2 3 4", std::nullopt},
                                      {"1  2 3", std::nullopt},
                                      {"x 2 3", std::nullopt},
                                      {"1 x 3", std::nullopt},
                                      {"1 2 2h", std::nullopt}});
}

TEST_CASE("toml_string: what TOML would not take as it is is escaped") {
  CHECK(toml_string("plain") == R"("plain")");
  CHECK(toml_string("a\"b\\c\n") == R"("a\"b\\c\u000a")");
}

TEST_CASE("split: keeps empty parts, but an empty text has none") {
  CHECK(split("", ',') == Strings{});
  CHECK(split("a", ',') == Strings{"a"});
  CHECK(split("a,,b", ',') == Strings{"a", "", "b"});
  CHECK(split(",a,", ',') == Strings{"", "a", ""});
}

TEST_CASE("wrap: breaks between words only") {
  CHECK(wrap("", 10) == Strings{});
  CHECK(wrap("one two three", 7) == Strings{"one two", "three"});
  CHECK(wrap("a extraordinary b", 5) == Strings{"a", "extraordinary", "b"});
}

}  // namespace
}  // namespace larder::config
