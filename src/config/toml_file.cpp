#include "config/toml_file.h"

#include <algorithm>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace larder::config {
namespace {

std::string joined(const toml::array& array) {
  std::vector<std::string> parts;
  for (const toml::node& node : array) parts.push_back(node.value_or(std::string()));
  return fmt::format("{}", fmt::join(parts, ","));
}

std::string_view describe_other(const toml::node& node) {
  if (node.is_floating_point()) return "a decimal number";
  if (node.is_array()) return "an array with other things than strings";
  return node.is_table() ? "a table" : "a date or time";
}

FileEntry entry_of(std::string key, const toml::node& node) {
  FileEntry entry{
      .key = std::move(key), .text = {}, .type = TomlType::other, .line = node.source().begin.line};
  if (const auto* string = node.as_string()) {
    entry.type = TomlType::string;
    entry.text = string->get();
  } else if (const auto* integer = node.as_integer()) {
    entry.type = TomlType::integer;
    entry.text = fmt::to_string(integer->get());
  } else if (const auto* boolean = node.as_boolean()) {
    entry.type = TomlType::boolean;
    entry.text = boolean->get() ? "true" : "false";
  } else if (const auto* array = node.as_array();
             array && (array->empty() || array->is_homogeneous<std::string>())) {
    entry.type = TomlType::array;
    entry.text = joined(*array);
  } else {
    entry.text = describe_other(node);
  }
  return entry;
}

// An empty table is an entry too, so that a misspelt [section] is not overlooked.
void collect(const toml::table& table, const std::string& prefix, std::vector<FileEntry>& out) {
  for (const auto& [name, node] : table) {
    std::string key = prefix + std::string(name.str());
    std::ranges::replace(key, '-', '_');
    if (const toml::table* inner = node.as_table(); inner && !inner->empty()) {
      collect(*inner, key + '.', out);
    } else {
      out.push_back(entry_of(std::move(key), node));
    }
  }
}

}  // namespace

std::vector<FileEntry> parse_toml(std::string_view content, const std::string& file) {
  try {
    std::vector<FileEntry> entries;
    collect(toml::parse(content), "", entries);
    return entries;
  } catch (const toml::parse_error& error) {
    throw ConfigError(fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
}

}  // namespace larder::config
