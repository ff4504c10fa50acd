#include "config/describe.h"

#include <fmt/format.h>

#include "config/keys.h"
#include "config/secrets.h"

namespace larder::config {
namespace {

std::string shown_text(const Key& key, const Settings& settings) {
  const std::string text = key.text(settings);
  switch (key.secret) {
    case Secret::none:
      return text;
    case Secret::whole:
      return text.empty() ? text : "***";
    case Secret::password_inside:
      break;
  }
  return mask_secrets(text);
}

std::string line_of(const Key& key, const Settings& settings) {
  const std::string setting =
      fmt::format("{} = {}", leaf_of(key.name), toml_value(key, shown_text(key, settings)));
  const auto origin = settings.origins.find(key.name);
  if (origin == settings.origins.end()) return setting + '\n';
  return fmt::format("{:<40} # {}\n", setting, origin->second.name);
}

std::string where(const Settings& settings, const BackendChoice& choice) {
  if (choice.private_postgres) return fmt::format(" in {}", settings.postgres.data_dir.string());
  return choice.address.empty() ? std::string() : " at " + mask_secrets(choice.address);
}

}  // namespace

std::string describe(const Settings& settings, const BackendChoice& choice) {
  std::string text =
      "# The effective configuration; a comment says where a value comes from that is not the default.\n\n";
  for (const Section& section : sections()) {
    if (!section.name.empty()) text += fmt::format("\n[{}]\n", section.name);
    for (const Key& key : keys())
      if (section_of(key.name) == section.name) text += line_of(key, settings);
  }
  text += fmt::format("\n# The backend is {}{}.\n# Why: {}.\n", kind_name(choice.kind),
                      where(settings, choice), choice.reason);
  if (!choice.warning.empty()) text += fmt::format("# Warning: {}.\n", choice.warning);
  return text;
}

}  // namespace larder::config
