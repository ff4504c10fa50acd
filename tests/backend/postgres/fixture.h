#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "backend/backend.h"
#include "backend/postgres/make_tier.h"
#include "backend/postgres/private_server.h"
#include "backend/postgres/session.h"
#include "command/spec.h"
#include "io/poller.h"
#include "keyspace/keyspace.h"

namespace larder::postgres {

/// The tests' PostgreSQL: made once per run in a temporary directory, gone at exit. Null without server
/// programs.
PrivateServer* test_server();

/// False, with a message, where there is none: the test is skipped.
bool has_server();

/// Options of a fresh schema on it.
Options test_options();

/// A client without a socket: requests in, complete replies out, in the order in which they were finished.
class TestClient final : public Caller {
 public:
  explicit TestClient(Backend& backend) : backend_(backend) {}

  /// Runs a request; replies come into `replies` at once or while the loop runs. Returns its number.
  std::size_t send(const std::vector<ByteView>& argv);
  void select(int db) { db_ = db; }

  /// By number of request; complete ones only.
  std::map<std::size_t, Bytes> replies;
  Step last_step = Step::done;

  Ticket defer() override;
  ReplyWriter reply_to(Ticket ticket) override { return {open_.at(ticket), protocol_}; }
  void finish(Ticket ticket) override;
  std::size_t pending() const noexcept override { return open_.size(); }

 private:
  Backend& backend_;
  std::map<Ticket, Bytes> open_;
  std::size_t requests_ = 0;
};

/// One Larder: a keyspace, a tier and a worker's backend, driven by hand.
class TestLarder {
 public:
  explicit TestLarder(const Options& options, std::uint64_t l1_bytes = 64 << 20);
  ~TestLarder();

  /// Sends and waits for the reply. A request that is held is sent again until it is taken.
  Bytes call(const std::vector<ByteView>& argv) { return call(client, argv); }
  Bytes call(TestClient& from, const std::vector<ByteView>& argv);

  /// Runs the loop until `done`, or fails after ten seconds.
  void run_until(const std::function<bool()>& done);

  /// Runs the loop until the L1 may be used.
  void await_coherence();

  /// A field of INFO.
  std::string info(const std::string& field) const;

  Keyspace keyspace;
  boost::asio::io_context io;
  Poller poller{io};
  std::unique_ptr<Tier> tier;
  std::unique_ptr<Backend> backend;
  TestClient client;
};

}  // namespace larder::postgres
