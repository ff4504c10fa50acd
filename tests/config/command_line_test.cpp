#include "config/command_line.h"

#include <array>

#include <doctest/doctest.h>

#include "config/keys.h"
#include "config/support.h"

namespace larder::config {
namespace {

using Task = Settings::Task;

TEST_CASE("command line: every flag of a key sets that key") {
  const Settings settings =
      load_with({"--port", "7000", "--bind", "127.0.0.1", "--bind", "::1", "--unixsocket=/tmp/s", "--workers",
                 "3", "--backend", "redis", "--redis-url", "redis://h", "--database-url", "postgres://h",
                 "--l1-memory", "64mb", "--log-level", "debug"});
  CHECK(settings.task == Task::serve);
  CHECK(settings.server.port == 7000);
  CHECK(settings.server.bind == std::vector<std::string>{"127.0.0.1", "::1"});
  CHECK(settings.server.unixsocket == "/tmp/s");
  CHECK(settings.server.workers == 3);
  CHECK(settings.backend == BackendKind::redis);
  CHECK(settings.redis.url == "redis://h");
  CHECK(settings.postgres.url == "postgres://h");
  CHECK(settings.l1.memory_bytes == 64 << 20);
  CHECK(settings.log_level == LogLevel::debug);
  CHECK(settings.origins.size() == 9);
  CHECK(bool(settings.origins.at("server.port") == Origin{Origin::Source::flag, "--port"}));
}

TEST_CASE("command line: a list may be one word, and the last of a repeated flag counts") {
  const Settings settings = load_with({"--port", "1", "--bind", "127.0.0.1,::1", "--port", "2"});
  CHECK(settings.server.port == 2);
  CHECK(settings.server.bind.size() == 2);
}

TEST_CASE("command line: --help goes before --version goes before --check-config") {
  CHECK(load_with({"--check-config"}).task == Task::check_config);
  CHECK(load_with({"--version", "--check-config"}).task == Task::print_version);
  CHECK(load_with({"--version", "-h"}).task == Task::print_help);
  CHECK(load_with({"--help"}, {{"CACHE_ADAPTER", "nonsense"}}).task == Task::print_help);
}

TEST_CASE("command line: an error is one sentence that names the flag") {
  struct Case {
    std::vector<std::string> arguments;
    std::string_view word;
  };
  const std::vector<Case> cases{
      {{"--prot", "1"}, "unknown argument --prot; did you mean --port?"},
      {{"--l1-memroy", "1"}, "did you mean --l1-memory?"},
      {{"--redis-ulr=redis://u:sesame@h"}, "unknown argument --redis-ulr; did you mean --redis-url?"},
      {{"redis://u:sesame@h"}, "unknown argument redis://u:***@h; --help lists the flags"},
      {{"start"}, "unknown argument start; --help lists the flags"},
      {{"--port"}, "--port"},
      {{"--port", "x"}, R"(--port is "x"; it must be an integer from 0 to 65535)"},
      {{"--port", "70000"}, R"(--port is "70000")"},
      {{"--backend", "mysql"}, R"(--backend is "mysql"; it must be "auto" or "redis" or "database")"},
      {{"--l1-memory", "64mib"}, R"(--l1-memory is "64mib"; it must be 0, a size)"},
      {{"--log-level", "loud"}, R"("error" or "warning" or "info" or "debug")"},
      {{"--bind", "localhost"}, "IPv4 and IPv6 addresses"},
      {{"--workers=-1"}, R"(--workers is "-1")"},
      {{"--port", ""}, "--port"},
  };
  for (const Case& c : cases) {
    const std::string error = error_of([&] { load_with(c.arguments); });
    CAPTURE(c.word);
    CAPTURE(error);
    CHECK(error.find(c.word) != std::string::npos);
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("command line: --help names every flag and fits a terminal") {
  const std::string help = help_text();
  for (const Key& key : keys()) {
    CAPTURE(key.flag);
    CHECK(help.find(key.flag) != std::string::npos);
  }
  for (const char* flag : {"--config", "--check-config", "--version", "--help", "DATABASE_URL"})
    CHECK(help.find(flag) != std::string::npos);
  for (const std::string& line : split(help, '\n')) CHECK(line.size() <= 90);
}

}  // namespace
}  // namespace larder::config
