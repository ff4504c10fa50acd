// The whole backend against an upstream that says what the test tells it to, over a Unix socket.

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include "backend/redis/handshake.h"
#include "backend/redis/make_tier.h"
#include "io/poller.h"
#include "io/stream.h"

using namespace larder;
using namespace std::chrono_literals;

namespace {

using Words = std::vector<ByteView>;

std::string request_of(const Words& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const ByteView word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
  return out;
}

/// A client: keeps what it was answered, in the order of its requests.
class FakeCaller final : public Caller {
 public:
  explicit FakeCaller(Protocol protocol) { protocol_ = protocol; }
  Ticket defer() override {
    ++open_;
    replies.emplace_back();
    return replies.size() - 1;
  }
  ReplyWriter reply_to(Ticket ticket) override { return {replies[ticket], protocol_}; }
  void finish(Ticket) override { --open_; }
  [[nodiscard]] std::size_t pending() const noexcept override { return open_; }

  std::vector<Bytes> replies;

 private:
  std::size_t open_ = 0;
};

/// The backend under test, its loop, and the upstream's end of the connections.
class Bench {
 public:
  explicit Bench(std::uint64_t l1_bytes = 1 << 20, std::function<void(redis::Options&)> change = {})
      : keyspace({.budget_bytes = l1_bytes, .eviction = Eviction::s3fifo, .databases = 16}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "larder-test-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    redis::Options options;
    options.address.path = directory_ + "/redis.sock";
    options.ping_interval = 1h;  // a question that no test expects
    if (change) change(options);
    listen(options.address.path);
    tier_ = redis::make_tier(options, keyspace);
    backend = tier_->make_backend(io_, poller_);
  }
  ~Bench() {
    backend.reset();
    std::filesystem::remove_all(directory_);
  }

  /// Answers at once, or leaves a place in `caller.replies`.
  Bytes ask(FakeCaller& caller, const Words& words) {
    const std::string raw = request_of(words);
    Bytes now;
    ReplyWriter reply(now, caller.protocol());
    last_step = backend->execute({find_command(words[0]), words, raw, unix_now_ms(), caller, reply});
    return now;
  }

  /// Lets the loop run until `done`, for ten seconds at most.
  void run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 2000 && !done(); ++i) io_.run_for(5ms);
    REQUIRE(done());
  }

  /// Takes the connection the backend opens and plays the handshake of a tracking Redis 7.
  void greet() {
    accept();
    hear("TRACKING\r\n$2\r\nON\r\n");
    say("*0\r\n%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n$2\r\n#x\r\n+OK\r\n");
  }
  void accept() {
    run_until([this] {
      upstream_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
      return static_cast<bool>(upstream_);
    });
    heard_.clear();
  }

  /// Waits until the upstream has received `bytes` behind what it heard before.
  void hear(const std::string& bytes) {
    run_until([&] {
      char buffer[4096];
      const ssize_t count = ::recv(upstream_.get(), buffer, sizeof buffer, 0);
      if (count > 0) heard_.append(buffer, static_cast<std::size_t>(count));
      return heard_.find(bytes) != std::string::npos;
    });
    heard_.erase(0, heard_.find(bytes) + bytes.size());
  }
  void say(const std::string& bytes) {
    REQUIRE(::send(upstream_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void hang_up() { upstream_.reset(); }

  /// A GET of `key` that goes upstream, answered by PTTL and GET as told.
  void fill(FakeCaller& caller, ByteView key, const std::string& replies) {
    static_cast<void>(ask(caller, {"GET", key}));
    REQUIRE(last_step == Step::pending);
    hear(request_of({"PTTL", key}) + request_of({"GET", key}));
    say(replies);
    run_until([&] { return caller.pending() == 0; });
  }

  [[nodiscard]] bool knows(ByteView key) {
    return keyspace.read(KeyRef(0, key), unix_now_ms(), [](const Item&) {}) != Lookup::miss;
  }

  Keyspace keyspace;
  std::unique_ptr<Backend> backend;
  Step last_step = Step::done;

 private:
  void listen(const std::string& path) {
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 8) == 0);
  }

  std::string directory_;
  UniqueFd listener_, upstream_;
  std::string heard_;
  boost::asio::io_context io_;
  Poller poller_{io_};
  std::unique_ptr<Tier> tier_;
};

constexpr const char* kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

}  // namespace

TEST_CASE("redis backend: a read fills L1, and the next one is answered from it") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  static_cast<void>(bench.ask(caller, {"GET", "k"}));
  bench.greet();
  bench.hear(request_of({"PTTL", "k"}) + request_of({"GET", "k"}));
  bench.say(":-1\r\n$1\r\nv\r\n");
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(0) == "$1\r\nv\r\n");
  CHECK(bench.ask(caller, {"GET", "k"}) == "$1\r\nv\r\n");
  CHECK(bench.last_step == Step::done);
}

TEST_CASE("redis backend: what is not there is remembered as absent, in the words of each protocol") {
  Bench bench;
  FakeCaller old(Protocol::resp2), modern(Protocol::resp3);
  bench.greet();
  bench.fill(old, "k", ":-2\r\n_\r\n");
  CHECK(old.replies.at(0) == "$-1\r\n");
  CHECK(bench.ask(modern, {"GET", "k"}) == "_\r\n");
}

TEST_CASE("redis backend: a fill is refused when a push, a write or a changed key came between") {
  Bench bench;
  FakeCaller caller(Protocol::resp2), writer(Protocol::resp2);
  bench.greet();
  bench.fill(caller, "k", std::string(":-1\r\n") + kPush + "$1\r\nv\r\n");
  CHECK(caller.replies.at(0) == "$1\r\nv\r\n");
  CHECK_FALSE(bench.knows("k"));
  bench.fill(caller, "k", ":-2\r\n$1\r\nv\r\n");
  CHECK_FALSE(bench.knows("k"));
  bench.fill(caller, "k", "-LOADING wait\r\n-LOADING wait\r\n");
  CHECK(caller.replies.at(2) == "-LOADING wait\r\n");
  CHECK_FALSE(bench.knows("k"));
  static_cast<void>(bench.ask(caller, {"GET", "k"}));
  static_cast<void>(bench.ask(writer, {"SET", "k", "w"}));
  bench.hear(request_of({"SET", "k", "w"}));
  bench.say(":-1\r\n$1\r\nv\r\n+OK\r\n");
  bench.run_until([&] { return writer.pending() == 0; });
  CHECK_FALSE(bench.knows("k"));
}

TEST_CASE("redis backend: pushes and unanswered writes void what L1 has") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  bench.fill(caller, "k", ":-1\r\n$1\r\nv\r\n");
  CHECK(bench.knows("k"));
  bench.say(kPush);
  bench.run_until([&] { return !bench.knows("k"); });
  bench.fill(caller, "k", ":-1\r\n$1\r\nv\r\n");
  static_cast<void>(bench.ask(caller, {"SET", "k", "w"}));
  CHECK_FALSE(bench.knows("k"));
}

TEST_CASE("redis backend: a read behind an open write of the same client never comes from L1") {
  Bench bench;
  FakeCaller caller(Protocol::resp2), other(Protocol::resp2);
  bench.greet();
  bench.fill(other, "k", ":-1\r\n$3\r\nold\r\n");
  static_cast<void>(bench.ask(caller, {"SET", "k", "new"}));
  const KeyRef key(0, "k");  // somebody else's fill, of a read that Redis ran before the write
  const SourceId source = bench.keyspace.add_source();
  REQUIRE(bench.keyspace.fill(key, "old", kNoExpiry, bench.keyspace.epoch(key.hash), source,
                              bench.keyspace.source_generation(source)));
  CHECK(bench.ask(caller, {"GET", "k"}).empty());
  CHECK(bench.last_step == Step::pending);
}

TEST_CASE("redis backend: readers of one key share one trip") {
  Bench bench;
  FakeCaller one(Protocol::resp2), two(Protocol::resp3);
  bench.greet();
  static_cast<void>(bench.ask(one, {"GET", "k"}));
  static_cast<void>(bench.ask(two, {"GET", "k"}));
  bench.hear(request_of({"GET", "k"}));
  bench.say(":-2\r\n_\r\n");
  bench.run_until([&] { return one.pending() + two.pending() == 0; });
  CHECK(one.replies.at(0) == "$-1\r\n");
  CHECK(two.replies.at(0) == "_\r\n");
}

TEST_CASE("redis backend: MGET goes out whole and fills what L1 lacked") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  bench.fill(caller, "a", ":-1\r\n$1\r\n1\r\n");
  static_cast<void>(bench.ask(caller, {"MGET", "a", "b", "c"}));
  bench.hear(request_of({"PTTL", "b"}) + request_of({"PTTL", "c"}) + request_of({"MGET", "a", "b", "c"}));
  bench.say(":-1\r\n:-2\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n_\r\n");
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(1) == "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
  CHECK(bench.ask(caller, {"MGET", "c", "b", "a"}) == "*3\r\n$-1\r\n$1\r\n2\r\n$1\r\n1\r\n");
}

TEST_CASE("redis backend: a lost connection voids L1 and answers everybody") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  bench.fill(caller, "a", ":-1\r\n$1\r\n1\r\n");
  static_cast<void>(bench.ask(caller, {"GET", "b"}));
  static_cast<void>(bench.ask(caller, {"SET", "c", "1"}));
  bench.hear(request_of({"SET", "c", "1"}));
  bench.hang_up();
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(1).find("was lost") != std::string::npos);
  CHECK(caller.replies.at(1).find("unknown") == std::string::npos);
  CHECK(caller.replies.at(2).find("whether the write took effect is unknown") != std::string::npos);
  CHECK_FALSE(bench.knows("a"));
  bench.greet();
  bench.fill(caller, "a", ":-1\r\n$1\r\n2\r\n");
  CHECK(bench.ask(caller, {"GET", "a"}) == "$1\r\n2\r\n");
}

TEST_CASE("redis backend: a late reply is eaten, and the next request gets its own") {
  Bench bench(1 << 20, [](redis::Options& options) { options.command_timeout = 30ms; });
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  static_cast<void>(bench.ask(caller, {"GET", "a"}));
  static_cast<void>(bench.ask(caller, {"INCR", "n"}));
  bench.hear(request_of({"INCR", "n"}));
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(0).find("did not answer in 30 ms\r\n") != std::string::npos);
  CHECK(caller.replies.at(1).find("whether the write took effect is unknown") != std::string::npos);
  static_cast<void>(bench.ask(caller, {"STRLEN", "s"}));
  bench.hear(request_of({"STRLEN", "s"}));
  bench.say(":-1\r\n$3\r\nold\r\n:7\r\n:4\r\n");
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(2) == ":4\r\n");
}

TEST_CASE("redis backend: an upstream that is silent is not believed, and then given up") {
  Bench bench(1 << 20, [](redis::Options& options) {
    options.ping_interval = 400ms;
    options.ping_timeout = 100ms;
  });
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  bench.fill(caller, "k", ":-1\r\n$1\r\nv\r\n");
  bench.run_until([&] { return !bench.knows("k"); });
  bench.greet();  // it came back by another connection
}

TEST_CASE("redis backend: an open request on another lane holds the next one back") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  bench.greet();
  static_cast<void>(bench.ask(caller, {"GET", "k"}));
  CHECK(bench.last_step == Step::pending);
  static_cast<void>(bench.ask(caller, {"HGETALL", "h"}));
  CHECK(bench.last_step == Step::hold);
}

TEST_CASE("redis backend: without RESP3 upstream L1 holds nothing, unless its age is bounded") {
  for (const auto ttl : {0ms, 10'000ms}) {
    Bench bench(1 << 20, [&](redis::Options& options) { options.untracked_ttl = ttl; });
    FakeCaller caller(Protocol::resp2);
    bench.accept();
    bench.hear("TRACKING\r\n$2\r\nON\r\n");
    bench.say("*0\r\n-ERR unknown command `HELLO`\r\n+OK\r\n$2\r\n#x\r\n-ERR no\r\n");
    bench.fill(caller, "k", ":-1\r\n$1\r\nv\r\n");
    CHECK(caller.replies.at(0) == "$1\r\nv\r\n");
    CHECK(bench.knows("k") == (ttl > 0ms));
  }
}

TEST_CASE("redis backend: with L1 off the client's bytes go out and the reply comes back as they are") {
  Bench bench(0);
  FakeCaller caller(Protocol::resp2);
  bench.accept();
  bench.hear("SETNAME\r\n$6\r\nlarder\r\n");
  bench.say("+OK\r\n");
  static_cast<void>(bench.ask(caller, {"GET", "k"}));
  bench.hear(request_of({"GET", "k"}));
  bench.say("$1\r\nv\r\n");
  bench.run_until([&] { return caller.pending() == 0; });
  CHECK(caller.replies.at(0) == "$1\r\nv\r\n");
}

TEST_CASE("redis backend: what needs its own connection is refused by name") {
  Bench bench;
  FakeCaller caller(Protocol::resp2);
  CHECK(bench.ask(caller, {"MULTI"}).starts_with("-ERR 'MULTI' needs an upstream connection of its own"));
}
