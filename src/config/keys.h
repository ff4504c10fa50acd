#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec.h"
#include "config/settings.h"

namespace larder::config {

/// How a value is shown to people.
enum class Secret { none, whole, password_inside };

/// Everything there is to know of one key; the loader, --help, --check-config and conf/larder.toml follow
/// from it.
struct Key {
  std::string_view name;                    // "server.port"
  std::string_view doc;                     // whole sentences
  std::string_view flag;                    // "--port", or none
  std::string_view placeholder;             // what --help calls the flag's value
  std::vector<std::string_view> variables;  // the first one that is set counts
  Secret secret;
  std::string default_text;  // parse(default_text) is what Settings{} holds
  std::vector<TomlType> types;
  std::string allowed;
  std::function<bool(Settings&, std::string_view)> assign;  // false: not allowed
  std::function<std::string(const Settings&)> text;         // what assign() would read back
};

struct Section {
  std::string_view name;  // "" before the first [section]
  std::string_view doc;
};

/// In the order of conf/larder.toml.
[[nodiscard]] std::span<const Key> keys();
[[nodiscard]] std::span<const Section> sections();

/// Null for an unknown name.
[[nodiscard]] const Key* find_key(std::string_view name);

/// The first half and the last half of "server.port"; the section of "backend" is "".
[[nodiscard]] std::string_view section_of(std::string_view key_name);
[[nodiscard]] std::string_view leaf_of(std::string_view key_name);

/// A value of `key` as it stands in a TOML file.
[[nodiscard]] std::string toml_value(const Key& key, std::string_view text);

/// conf/larder.toml: every key with its words and its default, commented out.
[[nodiscard]] std::string documented_defaults();

}  // namespace larder::config
