#include "io/transport.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <sys/socket.h>

#include <doctest/doctest.h>

#include "io/authority.h"

namespace larder {
namespace {

using Handshake = Transport::Handshake;

std::array<UniqueFd, 2> socket_pair() {
  std::signal(SIGPIPE, SIG_IGN);  // as the process does
  int fds[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TlsContext server_context(const test::Authority& authority, PeerCheck check = PeerCheck::none) {
  return TlsContext({.role = TlsOptions::Role::server,
                     .check = check,
                     .settings = {.cert_file = authority.certificate(),
                                  .key_file = authority.key(),
                                  .ca_cert_file = authority.ca()}});
}

TlsContext client_context(const std::string& ca, PeerCheck check = PeerCheck::name) {
  return TlsContext({.role = TlsOptions::Role::client, .check = check, .settings = {.ca_cert_file = ca}});
}

/// Two transports and a wire between them that can be slow.
class Wire {
 public:
  Wire(const TlsContext& server, const TlsContext& client, const std::string& host = "localhost") : Wire() {
    server_.secure(server);
    client_.secure(client, host);
  }

  Wire() {
    auto [left, left_end] = socket_pair();
    auto [right, right_end] = socket_pair();
    server_ = Transport(std::move(left));
    client_ = Transport(std::move(right));
    server_end_ = std::move(left_end);
    client_end_ = std::move(right_end);
  }

  Transport& server() { return server_; }
  Transport& client() { return client_; }

  /// Moves up to `most` bytes each way; false when there were none.
  bool carry(std::size_t most) {
    return move(server_end_, client_end_, most) + move(client_end_, server_end_, most) > 0;
  }

  /// The last words of server and client in a handshake with so many bytes a step.
  std::array<Handshake, 2> shake_hands(std::size_t step) {
    std::array<Handshake, 2> last{Handshake::wants_input, Handshake::wants_input};
    do {
      if (is_open(last[0])) last[0] = server_.shake_hands();
      if (is_open(last[1])) last[1] = client_.shake_hands();
    } while ((is_open(last[0]) || is_open(last[1])) && carry(step));
    return last;
  }

 private:
  static bool is_open(Handshake state) {
    return state == Handshake::wants_input || state == Handshake::wants_output;
  }

  static std::size_t move(const UniqueFd& from, const UniqueFd& to, std::size_t most) {
    std::string bytes(most, '\0');
    const ssize_t count = ::recv(from.get(), bytes.data(), most, 0);
    if (count > 0) REQUIRE(::send(to.get(), bytes.data(), static_cast<std::size_t>(count), 0) == count);
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }

  Transport server_, client_;
  UniqueFd server_end_, client_end_;
};

/// All that `from` receives until it has nothing more.
std::string receive_all(Transport& from, std::size_t room = Transport::kLeastRoom) {
  std::string all, piece(room, '\0');
  for (;;) {
    const ssize_t count = from.receive(piece);
    if (count <= 0) return all;
    all.append(piece, 0, static_cast<std::size_t>(count));
  }
}

/// Sends `bytes` over the wire and returns what has arrived.
std::string transfer(Wire& wire, Transport& from, Transport& to, ByteView bytes, std::size_t step) {
  std::string arrived;
  while (!bytes.empty() || wire.carry(step)) {
    const ssize_t count = bytes.empty() ? 0 : from.send(bytes);
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    wire.carry(step);
    static_cast<void>(receive_all(from));  // tickets
    arrived += receive_all(to);
  }
  return arrived + receive_all(to);
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST_CASE("transport: without TLS it is the socket") {
  Wire wire;
  CHECK_FALSE(wire.client().is_shaking_hands());
  CHECK(transfer(wire, wire.client(), wire.server(), "abc", 64) == "abc");
  std::string room(Transport::kLeastRoom, '\0');
  CHECK(wire.server().receive(room) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("transport: a handshake and both directions, cut anywhere") {
  const test::Authority authority;
  const TlsContext server = server_context(authority), client = client_context(authority.ca());
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{4096}}) {
    CAPTURE(step);
    Wire wire(server, client);
    CHECK(wire.client().is_shaking_hands());
    CHECK(wire.shake_hands(step) == std::array{Handshake::done, Handshake::done});
    CHECK_FALSE(wire.client().is_shaking_hands());
    CHECK(transfer(wire, wire.client(), wire.server(), "request", step) == "request");
    CHECK(transfer(wire, wire.server(), wire.client(), "reply", step) == "reply");
  }
}

TEST_CASE("transport: nothing that has arrived stays inside OpenSSL") {
  const test::Authority authority;
  const TlsContext server = server_context(authority), client = client_context(authority.ca());
  const std::string sent = pattern(300'000);
  for (const std::size_t room : {Transport::kLeastRoom, 3 * Transport::kLeastRoom + 5}) {
    CAPTURE(room);
    Wire wire(server, client);
    wire.shake_hands(4096);
    std::string arrived, piece(room, '\0');
    ByteView left = sent;
    while (arrived.size() < sent.size()) {
      if (const ssize_t count = left.empty() ? 0 : wire.client().send(left); count > 0)
        left.remove_prefix(static_cast<std::size_t>(count));
      wire.carry(100'000);
      // As the Poller does: asked only while the kernel has bytes.
      char byte = 0;
      while (::recv(wire.server().fd(), &byte, 1, MSG_PEEK) == 1) {
        const ssize_t count = wire.server().receive(piece);
        if (count > 0) arrived.append(piece, 0, static_cast<std::size_t>(count));
      }
    }
    CHECK(arrived == sent);
  }
}

TEST_CASE("transport: what the kernel does not take comes again") {
  const test::Authority authority;
  const TlsContext server = server_context(authority), client = client_context(authority.ca());
  Wire wire(server, client);
  wire.shake_hands(4096);
  std::string unsent = pattern(4'000'000);
  const std::string sent = unsent;
  std::string arrived;
  bool was_full = false;
  while (arrived.size() < sent.size()) {
    ssize_t count = 0;
    while (!unsent.empty() && (count = wire.client().send(unsent)) > 0) {
      unsent.erase(0, static_cast<std::size_t>(count));
      unsent.shrink_to_fit();  // the next attempt is from another address
    }
    if (count < 0) {
      CHECK(errno == EAGAIN);
      was_full = true;
    }
    wire.carry(50'000);
    arrived += receive_all(wire.server());
  }
  CHECK(was_full);
  CHECK(arrived == sent);
}

TEST_CASE("transport: whoever fails in the handshake says why") {
  const test::Authority authority, other;
  const TlsContext server = server_context(authority);
  SUBCASE("an unknown authority") {
    const TlsContext client = client_context(other.ca());
    Wire wire(server, client);
    CHECK(wire.shake_hands(4096)[1] == Handshake::failed);
    CHECK(wire.client().problem() ==
          "TLS: certificate verify failed: self-signed certificate in certificate chain");
    CHECK(wire.server().problem() == "TLS: tlsv1 alert unknown ca");
  }
  SUBCASE("another name") {
    const TlsContext client = client_context(authority.ca());
    Wire wire(server, client, "elsewhere.test");
    CHECK(wire.shake_hands(4096)[1] == Handshake::failed);
    CHECK(wire.client().problem() == "TLS: certificate verify failed: hostname mismatch");
    const TlsContext careless = client_context(authority.ca(), PeerCheck::certificate);
    Wire any_name(server, careless, "elsewhere.test");
    CHECK(any_name.shake_hands(4096)[1] == Handshake::done);
  }
  SUBCASE("another address") {
    const TlsContext client = client_context(authority.ca());
    Wire right(server, client, "127.0.0.1"), wrong(server, client, "127.0.0.2");
    CHECK(right.shake_hands(4096)[1] == Handshake::done);
    CHECK(wrong.shake_hands(4096)[1] == Handshake::failed);
    CHECK(wrong.client().problem() == "TLS: certificate verify failed: IP address mismatch");
  }
  SUBCASE("no certificate where one is wanted") {
    const TlsContext strict = server_context(authority, PeerCheck::certificate);
    const TlsContext client = client_context(authority.ca());
    Wire wire(strict, client);
    CHECK(wire.shake_hands(4096)[0] == Handshake::failed);
    CHECK(wire.server().problem() == "TLS: peer did not return a certificate");
  }
  SUBCASE("a client that does not speak TLS") {
    Wire wire;
    wire.server().secure(server);
    CHECK(wire.client().send("PING\r\nPING\r\nPING\r\n") > 0);
    wire.carry(4096);
    CHECK(wire.server().shake_hands() == Handshake::failed);
    CHECK(wire.server().problem() == "TLS: wrong version number (that is not TLS)");
  }
  SUBCASE("a client that leaves") {
    auto [left, right] = socket_pair();
    Transport transport(std::move(left));
    transport.secure(server);
    CHECK(transport.shake_hands() == Handshake::wants_input);
    right.reset();
    CHECK(transport.shake_hands() == Handshake::hung_up);
  }
}

TEST_CASE("transport: the end of the stream comes after the last bytes") {
  const test::Authority authority;
  const TlsContext server = server_context(authority), client = client_context(authority.ca());
  Wire wire(server, client);
  wire.shake_hands(4096);
  wire.carry(4096);  // session tickets, which nobody could take later
  CHECK(wire.client().send("last words") == 10);
  wire.client().close();
  wire.carry(4096);
  std::string room(Transport::kLeastRoom, '\0');
  CHECK(wire.server().receive(room) == 10);
  CHECK(wire.server().receive(room) == 0);
}

TEST_CASE("transport: what breaks TLS is an error, not bytes") {
  const test::Authority authority;
  const TlsContext server = server_context(authority);
  auto [left, right] = socket_pair();
  Transport mine(std::move(left)), theirs(std::move(right));
  const TlsContext client = client_context(authority.ca());
  mine.secure(server);
  theirs.secure(client, "localhost");
  while (mine.is_shaking_hands() || theirs.is_shaking_hands()) {
    static_cast<void>(theirs.shake_hands());
    static_cast<void>(mine.shake_hands());
  }
  REQUIRE(::send(theirs.fd(), "in the clear\r\n", 14, 0) == 14);
  std::string room(Transport::kLeastRoom, '\0');
  CHECK(mine.receive(room) == -1);
  CHECK(errno == EPROTO);
  CHECK(mine.problem().starts_with("TLS: "));
}

std::string refusal_of(config::TlsSettings settings, std::string& key) {
  try {
    const TlsContext context(
        {.role = TlsOptions::Role::server, .check = PeerCheck::none, .settings = std::move(settings)});
  } catch (const TlsError& error) {
    key = error.key();
    return error.what();
  }
  return {};
}

TEST_CASE("tls context: what is wrong with a file is said with its key") {
  const test::Authority authority, other;
  const auto check = [](config::TlsSettings settings, const std::string& key, const std::string& words) {
    std::string refused_key;
    const std::string refusal = refusal_of(std::move(settings), refused_key);
    CAPTURE(refusal);
    CHECK(refused_key == key);
    CHECK(refusal.find(words) != std::string::npos);
  };
  const std::string certificate = authority.certificate(), key = authority.key();
  check({.cert_file = "/nowhere"}, "cert_file",
        "is \"/nowhere\", which cannot be read: No such file or directory; it must be a file in PEM form");
  check({.cert_file = "/"}, "cert_file", "which cannot be read: Is a directory");
  check({.cert_file = key}, "cert_file", "which has no certificate in PEM form");
  check({.cert_file = certificate}, "cert_file", "from which no private key in PEM form can be read");
  check({.cert_file = certificate, .key_file = "/nowhere"}, "key_file", "No such file");
  check({.cert_file = certificate, .key_file = other.key()}, "key_file", "not the key of the certificate");
  check({.cert_file = certificate, .key_file = key, .ca_cert_file = key}, "ca_cert_file", "no certificate");
  check({.ca_cert_dir = key}, "ca_cert_dir", "must be a directory");
  check({.ciphers = "NONSENSE"}, "ciphers", "of which OpenSSL knows none");
  check({.ciphersuites = "NONSENSE"}, "ciphersuites", "which OpenSSL does not know");
}

TEST_CASE("tls context: files that are read again hold for new connections") {
  const test::Authority old_authority, new_authority;
  test::Authority current;
  const auto install = [&current](const test::Authority& from) {
    constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(from.certificate(), current.certificate(), kOver);
    std::filesystem::copy_file(from.key(), current.key(), kOver);
  };
  install(old_authority);
  TlsContext server = server_context(current);
  const TlsContext client = client_context(new_authority.ca());
  Wire before(server, client);
  CHECK(before.shake_hands(4096)[1] == Handshake::failed);
  install(new_authority);
  server.reload();
  Wire after(server, client);
  CHECK(after.shake_hands(4096)[1] == Handshake::done);
  std::filesystem::remove(current.key());
  CHECK_THROWS_AS(server.reload(), TlsError);
  Wire still(server, client);
  CHECK(still.shake_hands(4096)[1] == Handshake::done);
}

}  // namespace
}  // namespace larder
