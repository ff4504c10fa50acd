#include "config/describe.h"

#include <doctest/doctest.h>

#include "config/keys.h"
#include "config/support.h"
#include "config/toml_file.h"

namespace larder::config {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string described(const std::vector<std::string>& arguments, const Variables& variables = {}) {
  const Settings settings = load_with(arguments, variables);
  return describe(settings, choose_backend(settings, true));
}

TEST_CASE("describe: is TOML that loads to the same settings") {
  const std::string text = described({"--port", "7000", "--backend", "memory", "--l1-memory", "64mb"});
  Settings settings;
  std::size_t count = 0;
  for (const FileEntry& entry : parse_toml(text, "described")) {
    CAPTURE(entry.key);
    REQUIRE(find_key(entry.key)->assign(settings, entry.text));
    ++count;
  }
  CHECK(count == keys().size());
  CHECK(settings.server.port == 7000);
  CHECK(settings.backend == BackendKind::memory);
  CHECK(settings.l1.memory_bytes == 64 << 20);
}

TEST_CASE("describe: a value that is not the default says where it comes from") {
  const std::string text =
      described({"--port", "7000"}, {{"NODE_ENV", "development"}, {"CACHE_DEFAULT_TTL", "90"}});
  CHECK(has(text, "port = 7000                              # --port\n"));
  CHECK(has(text, "environment = \"development\"              # NODE_ENV\n"));
  CHECK(has(text, "default_ttl = \"90s\"                      # CACHE_DEFAULT_TTL\n"));
  CHECK(has(text, "workers = 0\n"));
}

TEST_CASE("describe: secrets are masked") {
  Settings settings;
  settings.server.requirepass = "sesame";
  settings.redis.url = "redis://me:sesame@h";
  settings.postgres.url = "postgres://me:sesame@h/db";
  const std::string text = describe(settings, choose_backend(settings, true));
  CHECK_FALSE(has(text, "sesame"));
  CHECK(has(text, "requirepass = \"***\""));
  CHECK(has(text, "url = \"redis://me:***@h\""));
  CHECK(has(text, "url = \"postgres://me:***@h/db\""));
  CHECK(has(text, "# The backend is postgres at postgresql://me:***@h/db.\n"));
}

TEST_CASE("describe: ends with the backend and why") {
  CHECK(has(described({"--backend", "memory"}),
            "# The backend is memory.\n# Why: memory: --backend is memory.\n"));
  Settings settings;
  settings.postgres.data_dir = "/srv/larder";
  CHECK(
      has(describe(settings, choose_backend(settings, true)), "# The backend is postgres in /srv/larder.\n"));
  const std::string without = describe(settings, choose_backend(settings, false));
  CHECK(has(without, "# The backend is memory.\n"));
  CHECK(has(without, "# Warning: the data is in memory only"));
}

}  // namespace
}  // namespace larder::config
