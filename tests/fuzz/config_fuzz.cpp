// Whatever stands in a configuration file: the parsers of TOML, of each key's values and of addresses take it
// or refuse it with a ConfigError, and a value that was taken is printed so that it can be read back.

#include <cstdint>
#include <cstdlib>

#include "config/keys.h"
#include "config/postgres_address.h"
#include "config/redis_address.h"
#include "config/secrets.h"
#include "config/toml_file.h"

using namespace larder::config;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <class Parse>
void parse_or_refuse(Parse parse) {
  try {
    parse();
  } catch (const ConfigError&) {
  }
}

void try_key(const Key& key, std::string_view text) {
  Settings settings;
  if (!key.assign(settings, text)) return;
  const std::string printed = key.text(settings);
  Settings again;
  require(key.assign(again, printed));
  require(key.text(again) == printed);
}

void try_addresses(std::string_view text) {
  parse_or_refuse([&] { (void)parse_redis_target(text); });
  parse_or_refuse([&] { (void)parse_redis_target(cluster_url(text, "")); });
  parse_or_refuse([&] { (void)parse_postgres_address(text); });
  (void)mask_secrets(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(bytes), size);
  try_addresses(content);
  for (const Key& key : keys()) try_key(key, content);
  parse_or_refuse([&] {
    for (const FileEntry& entry : parse_toml(content, "fuzz.toml")) {
      require(entry.line > 0);
      if (const Key* const key = find_key(entry.key)) try_key(*key, entry.text);
      try_addresses(entry.text);
    }
  });
  return 0;
}
