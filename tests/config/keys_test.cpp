#include "config/keys.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include <doctest/doctest.h>

#include "config/toml_file.h"

namespace larder::config {
namespace {

std::string source_file(const std::string& name) {
  std::ifstream stream(LARDER_SOURCE_ROOT "/" + name);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string shipped_file() {
  return source_file("conf/larder.toml");
}

// A commented default is "# name = value" in a line of its own; words of a sentence do not look like that.
std::string with_defaults_uncommented(const std::string& file) {
  std::string result;
  for (const std::string& line : split(file, '\n')) {
    const std::size_t equals = line.find(" = ");
    const bool is_default = line.starts_with("# ") && equals != line.npos && line.find(' ', 2) == equals;
    result += (is_default ? line.substr(2) : line) + '\n';
  }
  return result;
}

TEST_CASE("conf/larder.toml: is what the table of keys says") {
  // After a change of the table: LARDER_WRITE_CONF=1 build/tests/config/test_config, and read the difference.
  if (std::getenv("LARDER_WRITE_CONF"))
    std::ofstream(LARDER_SOURCE_ROOT "/conf/larder.toml") << documented_defaults();
  CHECK(shipped_file() == documented_defaults());
}

TEST_CASE("conf/larder.toml: lists every key once and no other, each with its real default") {
  const std::vector<FileEntry> entries = parse_toml(with_defaults_uncommented(shipped_file()), "larder.toml");
  std::set<std::string> listed;
  for (const FileEntry& entry : entries) {
    CAPTURE(entry.key);
    const Key* const key = find_key(entry.key);
    REQUIRE(key);
    CHECK(listed.insert(entry.key).second);
    CHECK(std::ranges::count(key->types, entry.type) == 1);
    Settings settings;
    REQUIRE(key->assign(settings, entry.text));
    CHECK(key->text(settings) == key->text(Settings{}));
  }
  CHECK(listed.size() == keys().size());
}

TEST_CASE("docs/configuration.md: names every environment variable") {
  const std::string words = source_file("docs/configuration.md");
  for (const Key& key : keys()) {
    for (const std::string_view variable : key.variables) {
      CAPTURE(variable);
      CHECK(words.find(fmt::format("`{}`", variable)) != std::string::npos);
    }
  }
}

TEST_CASE("keys: names, flags and variables are unique and every section exists") {
  std::set<std::string_view> names, flags, variables;
  for (const Key& key : keys()) {
    CAPTURE(key.name);
    CHECK(names.insert(key.name).second);
    if (!key.flag.empty()) CHECK(flags.insert(key.flag).second);
    for (const std::string_view variable : key.variables) CHECK(variables.insert(variable).second);
    CHECK(std::ranges::count(sections(), section_of(key.name), &Section::name) == 1);
    CHECK(key.doc.ends_with('.'));
    CHECK(key.flag.empty() == key.placeholder.empty());
  }
}

TEST_CASE("keys: the printed value of every key is TOML of its type and reads back") {
  for (const Key& key : keys()) {
    CAPTURE(key.name);
    Settings settings;
    const std::string text = key.text(settings);
    const auto entries = parse_toml("x = " + toml_value(key, text), "test");
    REQUIRE(entries.size() == 1);
    CHECK(std::ranges::count(key.types, entries[0].type) == 1);
    CHECK(entries[0].text == text);
    CHECK(key.assign(settings, text));
    CHECK(key.text(settings) == text);
  }
}

TEST_CASE("keys: a name is its section and its leaf") {
  CHECK(section_of("server.port") == "server");
  CHECK(leaf_of("server.port") == "port");
  CHECK(section_of("backend").empty());
  CHECK(leaf_of("backend") == "backend");
  CHECK(find_key("server.port")->flag == "--port");
  CHECK(find_key("port") == nullptr);
}

}  // namespace
}  // namespace larder::config
