#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace larder::postgres {

/// Between attempts to reach PostgreSQL: doubled from the first to the longest.
inline constexpr std::chrono::milliseconds kFirstPause{50};
inline constexpr std::chrono::milliseconds kLongestPause{2'000};

enum class Durability : unsigned char {
  unlogged,  ///< fast; empty after a crash of PostgreSQL
  durable,   ///< survives a crash; every batch waits for the disk
};

/// How the PostgreSQL tier is set up; main fills it from the settings.
struct Options {
  std::string conninfo;  ///< URL or libpq's `key=value` form; empty: PG* variables and libpq's defaults
  std::string schema = "larder";
  Durability durability = Durability::unlogged;
  bool schema_per_process = false;  ///< tests: a schema of our own, dropped at exit
  bool private_server = false;      ///< start a PostgreSQL of our own in `data_dir`
  std::filesystem::path data_dir;
  int databases = 16;
  int lanes = 1;  ///< a worker's for reads, and as many for writes: a connection each
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds command_timeout{10'000};
};

}  // namespace larder::postgres
