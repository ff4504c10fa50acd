#include "base/log.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <regex>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

namespace larder {
namespace {

/// What `act` writes to stderr. The log has no other way out, so the test listens there.
template <class Act>
std::string stderr_of(Act act) {
  std::FILE* const file = std::tmpfile();
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  act();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

TEST_CASE("log: an event is one line with time, level and text") {
  const std::string line = stderr_of([] { log::warning("{} of {}", 1, "two"); });
  const std::regex shape(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning 1 of two\n)");
  CHECK(std::regex_match(line, shape));
}

TEST_CASE("log: control characters are escaped, so nobody can forge a line") {
  const std::string line = stderr_of([] { log::error("key {}", "a\nb\x1b[31m\t\x7f"); });
  CHECK(line.ends_with("error key a\\nb\\x1b[31m\\x09\\x7f\n"));
}

TEST_CASE("log: a level lets through itself and what is more severe") {
  const auto all = [] {
    log::error("e");
    log::warning("w");
    log::info("i");
    log::debug("d");
  };
  const auto lines_at = [&](LogLevel level) {
    log::set_level(level);
    const std::string text = stderr_of(all);
    return std::count(text.begin(), text.end(), '\n');
  };
  CHECK(lines_at(LogLevel::error) == 1);
  CHECK(lines_at(LogLevel::warning) == 2);
  CHECK(lines_at(LogLevel::debug) == 4);
  CHECK(lines_at(LogLevel::info) == 3);
}

TEST_CASE("log: lines of several threads do not mix") {
  constexpr int kThreads = 4;
  constexpr int kLines = 50;
  const std::string text = stderr_of([] {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (int n = 0; n < kLines; ++n) log::info("a line of some length, number {:04}", n);
      });
    }
  });
  const std::regex shape(R"([^\n]{24} info a line of some length, number \d{4}\n)");
  const auto matches = std::distance(std::sregex_iterator(text.begin(), text.end(), shape), {});
  CHECK(matches == kThreads * kLines);
}

TEST_CASE("log: what comes often is told five times, then once a second with the number of the others") {
  log::Rate rate;
  std::int64_t now_us = 77'000'000;
  for (int i = 0; i < 5; ++i) CHECK(rate.admit(now_us) == 0);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(rate.admit(now_us += 999));
  CHECK(rate.admit(now_us += 1'000) == 1000);
  CHECK_FALSE(rate.admit(now_us));
  CHECK(rate.admit(now_us += 60'000'000) == 1);
  for (int i = 0; i < 4; ++i) CHECK(rate.admit(now_us) == 0);
  CHECK_FALSE(rate.admit(now_us));
}

TEST_CASE("log: lines that were left out are counted in the next one") {
  log::Rate rate;
  const std::string text = stderr_of([&rate] {
    for (int i = 0; i < 100; ++i) log::warning_at(rate, "{} again", i);
  });
  CHECK(std::ranges::count(text, '\n') < 100);
  CHECK(text.find("warning 4 again\n") != text.npos);
}

TEST_CASE("log: what lasts is told at its beginning, and once a minute") {
  constexpr std::int64_t kSecond = 1'000'000;
  log::Outage outage;
  CHECK_FALSE(outage.end());
  CHECK(outage.is_to_be_told(1 * kSecond));
  CHECK_FALSE(outage.is_to_be_told(60 * kSecond));
  CHECK(outage.is_to_be_told(61 * kSecond));
  CHECK_FALSE(outage.is_to_be_told(62 * kSecond));
  CHECK(outage.end());
  CHECK_FALSE(outage.end());
  CHECK(outage.is_to_be_told(63 * kSecond));
}

}  // namespace
}  // namespace larder
