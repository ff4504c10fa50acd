#include "config/command_line.h"

#include <deque>

#include <CLI/CLI.hpp>

#include "config/keys.h"
#include "config/load.h"
#include "config/nearest.h"
#include "config/secrets.h"

namespace larder::config {
namespace {

using Task = Settings::Task;

constexpr const char* kDescription =
    "Larder, a RESP server with two tiers: memory in front, Redis or PostgreSQL behind.";
constexpr const char* kFooter =
    "Flags go before environment variables, these before the file, and that before the\n"
    "defaults. conf/larder.toml lists every key; --check-config shows what holds, where it\n"
    "comes from and which backend is chosen.\n\n"
    "Examples:\n"
    "  larder                                      the database, or a private PostgreSQL\n"
    "  larder --backend memory --l1-memory 256mb   nothing behind it\n"
    "  larder --redis-url redis://127.0.0.1:6380   in front of a Redis\n"
    "  larder --config larder.toml --check-config  is my file right?";

constexpr std::size_t kFlagColumn = 22;
constexpr std::size_t kWordsWidth = 66;

// The flags of the command line. CLI11 writes into the members, so they stay where they are.
class Flags {
 public:
  Flags() : app_(kDescription, "larder") {
    app_.set_help_flag("");
    app_.footer(kFooter);
    app_.get_formatter()->column_width(kFlagColumn);
    app_.allow_extras();
    app_.add_option("--config", config_file_, "Read settings from this TOML file.")
        ->type_name("FILE")
        ->take_last();
    for (const Key& key : keys())
      if (!key.flag.empty()) add(key);
    app_.add_flag("--check-config", check_config_,
                  "Print the effective configuration and the chosen backend.");
    app_.add_flag("--version", version_, "Print the version.");
    app_.add_flag("-h,--help", help_, "Print this text.");
  }

  CommandLine parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      throw ConfigError(error.what());
    }
    refuse_extras();
    CommandLine line{.task = task(), .config_file = config_file_, .values = {}};
    for (const Value& value : values_) {
      if (!value.option->empty())
        line.values.emplace_back(value.key->name, fmt::format("{}", fmt::join(value.parts, ",")));
    }
    return line;
  }

  [[nodiscard]] std::string help() const { return app_.help(); }

 private:
  struct Value {
    const Key* key;
    CLI::Option* option;
    std::vector<std::string> parts;
  };

  // Only a list may be given more than once; of anything else the last one counts, so that scripts can
  // append.
  void add(const Key& key) {
    Value& value = values_.emplace_back(Value{&key, nullptr, {}});
    std::string words(key.doc);
    if (!key.variables.empty()) words += fmt::format(" [{}]", fmt::join(key.variables, ", "));
    words = fmt::format("{}", fmt::join(wrap(words, kWordsWidth), "\n"));
    value.option = app_.add_option(std::string(key.flag), value.parts, words);
    value.option->type_name(std::string(key.placeholder))->expected(1)->allow_extra_args(false);
    const bool list = key.types.front() == TomlType::array;
    value.option->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll
                                           : CLI::MultiOptionPolicy::TakeLast);
  }

  void refuse_extras() const {
    const std::vector<std::string> extras = app_.remaining();
    if (extras.empty()) return;
    std::vector<std::string_view> known{"--config", "--check-config", "--version", "--help"};
    for (const Value& value : values_) known.push_back(value.key->flag);
    const std::string unknown = mask_secrets(extras.front().substr(0, extras.front().find('=')));
    const std::string_view nearest = find_nearest(unknown, known);
    throw ConfigError(fmt::format(
        "unknown argument {}; {}", unknown,
        nearest.empty() ? std::string("--help lists the flags") : fmt::format("did you mean {}?", nearest)));
  }

  [[nodiscard]] Task task() const noexcept {
    if (help_) return Task::print_help;
    if (version_) return Task::print_version;
    return check_config_ ? Task::check_config : Task::serve;
  }

  CLI::App app_;
  std::string config_file_;
  std::deque<Value> values_;
  bool check_config_ = false;
  bool version_ = false;
  bool help_ = false;
};

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  return Flags().parse(argc, argv);
}

std::string help_text() {
  return Flags().help();
}

}  // namespace larder::config
