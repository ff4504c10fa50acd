#include "config/toml_file.h"

#include <algorithm>

#include <doctest/doctest.h>

namespace larder::config {
namespace {

constexpr std::string_view kFile = R"(log-level = "info"
[server]
port = 6379
max-clients = 0x10
bind = ["127.0.0.1", "::1"]
none = []
mixed = ["a", 1]
share = 0.25
[server.deep]
yes = true
[empty]
)";

const FileEntry& entry(const std::vector<FileEntry>& entries, std::string_view key) {
  const auto found = std::ranges::find(entries, key, &FileEntry::key);
  REQUIRE(found != entries.end());
  return *found;
}

TEST_CASE("toml file: an entry has full name, text, type and line") {
  const auto entries = parse_toml(kFile, "f");
  CHECK(entries.size() == 9);
  const auto check = [&](std::string_view key, std::string_view text, TomlType type, unsigned line) {
    CAPTURE(key);
    const FileEntry& found = entry(entries, key);
    CHECK(found.text == text);
    CHECK(found.type == type);
    CHECK(found.line == line);
  };
  check("log_level", "info", TomlType::string, 1);
  check("server.port", "6379", TomlType::integer, 3);
  check("server.max_clients", "16", TomlType::integer, 4);
  check("server.bind", "127.0.0.1,::1", TomlType::array, 5);
  check("server.none", "", TomlType::array, 6);
  check("server.mixed", "an array with other things than strings", TomlType::other, 7);
  check("server.share", "a decimal number", TomlType::other, 8);
  check("server.deep.yes", "true", TomlType::boolean, 10);
  check("empty", "a table", TomlType::other, 11);
}

TEST_CASE("toml file: what is not TOML is an error with file and line") {
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_toml("a = 1\nb = \n", "larder.toml")),
                       doctest::Contains("larder.toml:2: "), ConfigError);
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_toml("a = 1\na = 2\n", "larder.toml")),
                       doctest::Contains("larder.toml:2: "), ConfigError);
}

}  // namespace
}  // namespace larder::config
