// Checks from outside that Larder shows nothing stale: docs/stale_reads.md.
//
// Load starts at once and goes on until `finish`, and commands come one a line on stdin: `reads`, `flush
// NAME`, `settle`, `finish`. Each is answered with one line of JSON on stdout.

#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "stale_reads/load.h"

namespace larder::stale {
namespace {

/// `A=7000` or `direct=7000,7001`.
Place parse_place(const std::string& text, Place::Kind kind) {
  const std::size_t equals = text.find('=');
  Place place{text.substr(0, equals), kind, {}};
  std::istringstream ports(text.substr(equals + 1));
  for (std::string port; std::getline(ports, port, ',');) place.ports.push_back(std::stoi(port));
  return place;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + '"';
}

std::string json(const Report& report) {
  std::string errors, violations;
  for (const auto& [error, count] : report.errors)
    errors += fmt::format("{}{}: {}", errors.empty() ? "" : ", ", quoted(error), count);
  for (const std::string& violation : report.violations)
    violations += (violations.empty() ? "" : ", ") + quoted(violation);
  return fmt::format(
      R"({{"reads": {}, "judged": {}, "stale": {}, "stale_p50_us": {}, "stale_p99_us": {}, "stale_max_us": {}, )"
      R"("direct_reads": {}, "writes": {}, "doubtful_writes": {}, "lost_writes": {}, "slowest_us": {}, )"
      R"("errors": {{{}}}, "violated": {}, "violations": [{}]}})",
      report.reads, report.judged, report.stale, report.stale_p50_us, report.stale_p99_us,
      report.stale_max_us, report.direct_reads, report.writes, report.doubtful_writes, report.lost_writes,
      report.slowest_us, errors, report.violated, violations);
}

void serve(Load& load) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, name;
    words >> command >> name;
    if (command == "reads") std::cout << load.reads() << std::endl;
    if (command == "flush") std::cout << (load.flush(name) ? "true" : "false") << std::endl;
    if (command == "settle") std::cout << load.settle() << std::endl;
    if (command == "finish") {
      std::cout << json(load.finish()) << std::endl;
      return;
    }
  }
}

}  // namespace
}  // namespace larder::stale

int main(int argc, char** argv) {
  using namespace larder::stale;
  CLI::App app{"Reads and writes versioned values through Larders and directly, and judges every read"};
  Options options;
  std::vector<std::string> larders;
  std::string direct;
  app.add_option("--larder", larders, "a Larder: NAME=PORT")->required();
  app.add_option("--direct", direct, "what is behind them: NAME=PORT, or of a cluster NAME=PORT,PORT,…")
      ->required();
  app.add_option("--keys", options.keys, "how many keys");
  app.add_option("--readers", options.readers, "connections that read, of each Larder");
  app.add_option("--writers", options.writers, "connections that write, of each place");
  app.add_option("--pipeline", options.pipeline, "reads sent at once");
  app.add_option("--seed", options.seed, "of the random choices");
  app.add_option("--bound-us", options.limits.bound_us, "how long a change may be unseen");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& larder : larders)
    options.larders.push_back(parse_place(larder, Place::Kind::larder));
  options.direct = parse_place(direct, Place::Kind::redis);
  if (options.direct.ports.size() > 1) options.direct.kind = Place::Kind::cluster;
  Load load(options);
  serve(load);
  return 0;
}
