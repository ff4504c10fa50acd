#include "config/load.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <fmt/format.h>

#include "config/command_line.h"
#include "config/keys.h"
#include "config/nearest.h"
#include "config/redis_address.h"
#include "config/toml_file.h"

namespace larder::config {
namespace {

using Source = Origin::Source;

const std::string* find_variable(const Variables& variables, std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() || found->second.empty() ? nullptr : &found->second;
}

// NODE_ENV and its like belong to others, who may know more values; Larder's own variable goes before them.
std::string way_round(const Key& key, const Origin& origin) {
  if (origin.source != Source::variable || origin.name == key.variables.front()) return {};
  return fmt::format(" ({} goes before it)", key.variables.front());
}

void assign(Settings& settings, const Key& key, const std::string& text, Origin origin) {
  if (!key.assign(settings, text)) {
    throw ConfigError(fmt::format("{} is {}; it must be {}{}", name_of(key.name, origin), toml_string(text),
                                  key.allowed, way_round(key, origin)));
  }
  settings.origins.insert_or_assign(std::string(key.name), std::move(origin));
}

// --- the file

std::string_view type_name(const FileEntry& entry) {
  switch (entry.type) {
    case TomlType::string:
      return "a string";
    case TomlType::integer:
      return "an integer";
    case TomlType::boolean:
      return "a boolean";
    case TomlType::array:
      return "an array";
    case TomlType::other:
      break;
  }
  return entry.text;
}

std::string known_names(std::string_view section) {
  std::vector<std::string_view> names;
  for (const Key& key : keys())
    if (section_of(key.name) == section) names.push_back(leaf_of(key.name));
  if (!names.empty() && !section.empty()) return fmt::format("[{}] has {}", section, fmt::join(names, ", "));
  for (const Section& s : sections())
    if (!s.name.empty()) names.push_back(s.name);
  return fmt::format("known are {}", fmt::join(names, ", "));
}

[[noreturn]] void refuse_unknown(const FileEntry& entry, const std::string& place) {
  std::vector<std::string_view> names;
  std::ranges::transform(keys(), std::back_inserter(names), &Key::name);
  const std::string_view nearest = find_nearest(entry.key, names);
  throw ConfigError(fmt::format(
      "{}: unknown key {}; {}", place, entry.key,
      nearest.empty() ? known_names(section_of(entry.key)) : fmt::format("did you mean {}?", nearest)));
}

bool is_empty_section(const FileEntry& entry) {
  const auto is_it = [&](const Section& section) { return section.name == entry.key; };
  return entry.type == TomlType::other && std::ranges::any_of(sections(), is_it);
}

void apply_entry(Settings& settings, const FileEntry& entry, const std::string& place) {
  const Key* const key = find_key(entry.key);
  if (!key) refuse_unknown(entry, place);
  const Origin origin{Source::file, place};
  if (settings.origins.contains(entry.key))
    throw ConfigError(fmt::format("{}: {} is given twice", place, entry.key));
  if (std::ranges::count(key->types, entry.type) == 0) {
    const bool needs_quotes = key->types == std::vector{TomlType::string};
    throw ConfigError(fmt::format("{} is {}; it must be {}{}", name_of(key->name, origin), type_name(entry),
                                  key->allowed, needs_quotes ? ", in quotes" : ""));
  }
  assign(settings, *key, entry.text, origin);
}

std::string read_file(const std::string& path) {
  if (std::filesystem::is_directory(path))
    throw ConfigError(fmt::format("cannot read {}: it is a directory", path));
  std::ifstream stream(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw ConfigError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return content;
}

void apply_file(Settings& settings, const std::string& path) {
  for (const FileEntry& entry : parse_toml(read_file(path), path)) {
    if (!is_empty_section(entry)) apply_entry(settings, entry, fmt::format("{}:{}", path, entry.line));
  }
}

// --- the command line and the environment

void apply_flags(Settings& settings, const CommandLine& line) {
  for (const auto& [name, text] : line.values) {
    const Key& key = *find_key(name);
    assign(settings, key, text, {Source::flag, std::string(key.flag)});
  }
}

// After the flags, and only where they are silent: a flag is the way out when a variable means something else
// to another program.
void apply_variables(Settings& settings, const Variables& variables) {
  for (const Key& key : keys()) {
    const auto set =
        std::ranges::find_if(key.variables, [&](auto name) { return find_variable(variables, name); });
    if (set == key.variables.end() || set_by_flag(settings, key.name)) continue;
    assign(settings, key, *find_variable(variables, *set), {Source::variable, std::string(*set)});
  }
  if (const auto* nodes = find_variable(variables, "REDIS_CLUSTER_NODES"))
    settings.redis.cluster_nodes = *nodes;
  for (const char* const name : {"PGSERVICE", "PGHOST", "PGDATABASE"})
    if (find_variable(variables, name)) settings.postgres.libpq_variable = name;
}

// --- what follows from the rest

std::filesystem::path default_data_dir(const Variables& variables) {
  if (::geteuid() == 0) return "/var/lib/larder";
  if (const auto* data_home = find_variable(variables, "XDG_DATA_HOME"))
    return std::filesystem::path(*data_home) / "larder";
  if (const auto* home = find_variable(variables, "HOME"))
    return std::filesystem::path(*home) / ".local/share/larder";
  return "/var/lib/larder";
}

/// Also where another backend is chosen: what nobody notices today is an outage on the day it is needed.
/// DATABASE_URL is not looked at: it may be another program's, and another database's.
void check_redis_addresses(const Settings& settings) {
  const auto check = [](const std::string& name, const std::string& url) {
    try {
      static_cast<void>(parse_redis_target(url));
    } catch (const ConfigError& error) {
      throw ConfigError(fmt::format("{}: {}", name, error.what()));
    }
  };
  const RedisSettings& redis = settings.redis;
  if (!redis.url.empty()) check(name_of(settings, "redis.url"), redis.url);
  if (redis.cluster_nodes.empty()) return;
  check("REDIS_CLUSTER_NODES", cluster_url(redis.cluster_nodes, ""));
  if (!has_ports(redis.cluster_nodes))
    throw ConfigError("REDIS_CLUSTER_NODES: a node has no port: they are written host:port,host:port");
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

void check_tls(const Settings& settings) {
  const auto require = [&settings](std::string_view wanting, std::string_view missing) {
    throw ConfigError(fmt::format("{} is set, but {} is not", name_of(settings, wanting), missing));
  };
  if (settings.server.tls_port && settings.tls.cert_file.empty()) require("tls.port", "tls.cert_file");
  const TlsClients clients = settings.server.tls_auth_clients;
  const bool asks = clients == TlsClients::yes || clients == TlsClients::optional;
  if (asks && settings.tls.ca_cert_file.empty() && settings.tls.ca_cert_dir.empty())
    require("tls.auth_clients", "tls.ca_cert_file or tls.ca_cert_dir");
  if (!settings.redis_tls.key_file.empty() && settings.redis_tls.cert_file.empty())
    require("redis.tls.key_file", "redis.tls.cert_file");
}

void check_listeners(const Settings& settings) {
  const ServerSettings& server = settings.server;
  const bool has_port = server.port.has_value() || server.tls_port.has_value();
  if ((server.bind.empty() || !has_port) && server.unixsocket.empty())
    throw ConfigError(fmt::format("{} and server.unixsocket is not set: there is nothing to listen on",
                                  has_port ? "server.bind is empty" : "server.port and tls.port are off"));
  const auto open = std::ranges::find_if_not(server.bind, is_loopback);
  if (open == server.bind.end() || !server.requirepass.empty() || server.allow_unprotected) return;
  throw ConfigError(
      fmt::format("{} has {}, which others can reach, and there is no password: set server.requirepass, or "
                  "server.allow_unprotected = true if that is meant",
                  name_of(settings, "server.bind"), *open));
}

}  // namespace

Variables process_variables() {
  Variables variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

Settings load(int argc, const char* const* argv, const Variables& variables) {
  const CommandLine line = parse_command_line(argc, argv);
  Settings settings;
  settings.task = line.task;
  settings.config_file = line.config_file;
  if (line.task == Settings::Task::print_help || line.task == Settings::Task::print_version) return settings;
  if (!line.config_file.empty()) apply_file(settings, line.config_file);
  apply_flags(settings, line);
  apply_variables(settings, variables);
  if (settings.postgres.data_dir.empty()) settings.postgres.data_dir = default_data_dir(variables);
  check_listeners(settings);
  check_tls(settings);
  check_redis_addresses(settings);
  return settings;
}

}  // namespace larder::config
