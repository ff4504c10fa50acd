#include "backend/postgres/fixture.h"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include "base/log.h"

namespace larder::postgres {
namespace {

/// Removes the cluster when the program ends, after the server has stopped.
struct TestCluster {
  std::filesystem::path directory = std::filesystem::temp_directory_path() /
                                    fmt::format("larder-pg-{}-{:08x}", getpid(), std::random_device{}());
  std::unique_ptr<PrivateServer> server;

  TestCluster() {
    log::set_level(LogLevel::error);
    if (find_server_programs()) server = std::make_unique<PrivateServer>(directory);
  }
  ~TestCluster() {
    server.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
};

}  // namespace

PrivateServer* test_server() {
  static TestCluster cluster;
  return cluster.server.get();
}

bool has_server() {
  if (test_server() != nullptr) return true;
  MESSAGE("no PostgreSQL server programs: skipped");
  return false;
}

Options test_options() {
  static int schemas = 0;
  Options options;
  options.conninfo = test_server()->conninfo();
  options.schema = fmt::format("t{}", ++schemas);
  options.command_timeout = std::chrono::milliseconds(5'000);
  return options;
}

std::size_t TestClient::send(const std::vector<ByteView>& argv) {
  Bytes out;
  ReplyWriter reply(out, protocol_);
  const CommandSpec* spec = find_command(argv.front());
  last_step = backend_.execute(Request{spec, argv, {}, unix_now_ms(), *this, reply});
  if (last_step == Step::hold) return requests_;
  if (last_step == Step::done) replies[requests_] = out;
  return requests_++;
}

Ticket TestClient::defer() {
  open_[requests_];
  return requests_;
}

void TestClient::finish(Ticket ticket) {
  replies[ticket] = open_.at(ticket);
  open_.erase(ticket);
}

TestLarder::TestLarder(const Options& options, std::uint64_t l1_bytes)
    : keyspace({.budget_bytes = l1_bytes}),
      tier(make_tier(options, keyspace)),
      backend(tier->make_backend(io, poller)),
      client(*backend) {}

TestLarder::~TestLarder() {
  bool drained = false;
  backend->drain([&drained] { drained = true; });
  try {
    run_until([&drained] { return drained; });
  } catch (const std::runtime_error& error) {
    MESSAGE(error.what());
  }
  backend.reset();
  tier->stop();
}

Bytes TestLarder::call(TestClient& from, const std::vector<ByteView>& argv) {
  std::size_t number = 0;
  run_until([&] {
    number = from.send(argv);
    return from.last_step != Step::hold;
  });
  run_until([&] { return from.replies.contains(number); });
  return from.replies.at(number);
}

void TestLarder::run_until(const std::function<bool()>& done) {
  const std::int64_t deadline_us = steady_now_us() + 10'000'000;
  while (!done()) {
    if (steady_now_us() > deadline_us) throw std::runtime_error("the test waited too long");
    io.run_one_for(std::chrono::milliseconds(10));
  }
}

void TestLarder::await_coherence() {
  run_until([this] { return info("postgres_coherence") == "listening"; });
}

std::string TestLarder::info(const std::string& field) const {
  for (const auto& [name, value] : tier->report().fields)
    if (name == field) return value;
  return "";
}

}  // namespace larder::postgres
