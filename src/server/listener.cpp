#include "server/listener.h"

#include <cerrno>
#include <fcntl.h>
#include <list>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "io/stream.h"

namespace larder {

namespace asio = boost::asio;
using asio::ip::tcp;
using unix_protocol = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(100);

bool is_out_of_descriptors(const error_code& error) {
  return error == asio::error::no_descriptors || error.value() == ENFILE;
}

UniqueFd open_spare() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address,
                     endpoint.port());
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

/// Small replies leave at once; a peer that has vanished is noticed.
void tune(int fd, std::int64_t keepalive_s) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keepalive_s <= 0) return;
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(keepalive_s));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, static_cast<int>(keepalive_s / 3)));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

/// A socket file nobody listens on any more is left over from a crash and may be replaced.
bool is_stale_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  asio::io_context io;
  unix_protocol::socket probe(io);
  error_code error;
  probe.connect(unix_protocol::endpoint(path), error);
  return error == asio::error::connection_refused;
}

}  // namespace

struct Listener::Impl {
  asio::io_context& io;
  Accepted accepted;
  Refused refused;
  std::list<tcp::acceptor> tcp_acceptors;
  std::list<unix_protocol::acceptor> unix_acceptors;
  UniqueFd spare = open_spare();  ///< given up to accept, and refuse, a client when there are no others
  log::Outage failures;
  std::int64_t keepalive_s = 0;
  std::uint16_t tls_port = 0;  ///< its clients speak TLS

  Impl(asio::io_context& context, Accepted on_accepted, Refused on_refused)
      : io(context), accepted(std::move(on_accepted)), refused(std::move(on_refused)) {}

  template <class Acceptor>
  void accept_next(Acceptor& acceptor) {
    acceptor.async_accept([this, &acceptor](const error_code& error, auto socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return recover(acceptor, error);
      hand_over(std::move(socket), accepted);
      accept_next(acceptor);
    });
  }

  template <class Acceptor>
  void recover(Acceptor& acceptor, const error_code& error) {
    if (failures.is_to_be_told(log::now_us()))
      log::warning("cannot accept a connection: {}", error.message());
    is_out_of_descriptors(error) && spare.get() >= 0 ? refuse_next(acceptor) : try_later(acceptor);
  }

  /// The system says that it is out of descriptors whether a client waits or not.
  template <class Acceptor>
  void refuse_next(Acceptor& acceptor) {
    acceptor.async_wait(Acceptor::wait_read, [this, &acceptor](const error_code& error) {
      if (error) return;
      spare.reset();
      error_code failed;
      auto socket = acceptor.accept(failed);
      if (!failed) hand_over(std::move(socket), refused);
      spare = open_spare();
      accept_next(acceptor);
    });
  }

  /// At once again would spin.
  template <class Acceptor>
  void try_later(Acceptor& acceptor) {
    const auto timer = std::make_shared<asio::steady_timer>(io, kPauseAfterFailure);
    timer->async_wait([this, &acceptor, timer](const error_code&) {
      if (spare.get() < 0) spare = open_spare();
      if (acceptor.is_open()) accept_next(acceptor);
    });
  }

  template <class Receiver>
  void hand_over(tcp::socket socket, const Receiver& receiver) {
    error_code ignored;
    ClientIdentity identity;
    identity.address = text_of(socket.remote_endpoint(ignored));
    const tcp::endpoint local = socket.local_endpoint(ignored);
    identity.local_address = text_of(local);
    identity.is_tls = local.port() == tls_port;
    socket.non_blocking(true, ignored);
    tune(socket.native_handle(), keepalive_s);
    receiver(socket.release(), std::move(identity));
  }

  template <class Receiver>
  void hand_over(unix_protocol::socket socket, const Receiver& receiver) {
    error_code ignored;
    ClientIdentity identity;
    identity.address = identity.local_address = socket.local_endpoint(ignored).path() + ":0";
    identity.is_unix = true;
    socket.non_blocking(true, ignored);
    receiver(socket.release(), std::move(identity));
  }
};

Listener::Listener(asio::io_context& io, Accepted accepted, Refused refused)
    : impl_(std::make_unique<Impl>(io, std::move(accepted), std::move(refused))) {}

Listener::~Listener() {
  close();
}

void Listener::open(const config::ServerSettings& settings) {
  impl_->keepalive_s = settings.tcp_keepalive.count();
  for (const std::string& address : settings.bind) {
    if (settings.port) listen_tcp(address, *settings.port, Wrapping::none);
    if (settings.tls_port) listen_tcp(address, *settings.tls_port, Wrapping::tls);
  }
  impl_->tls_port = tls_port_;
  if (!settings.unixsocket.empty()) listen_unix(settings);
  for (tcp::acceptor& acceptor : impl_->tcp_acceptors) impl_->accept_next(acceptor);
  for (unix_protocol::acceptor& acceptor : impl_->unix_acceptors) impl_->accept_next(acceptor);
}

void Listener::listen_tcp(const std::string& address, std::uint16_t wanted_port, Wrapping wrapping) {
  const bool tls = wrapping == Wrapping::tls;
  std::uint16_t& port = tls ? tls_port_ : plain_port_;
  error_code error;
  const std::string name = address == "*" ? "0.0.0.0" : address;
  tcp::resolver resolver(impl_->io);
  const auto found = resolver.resolve(name, "", error);
  if (error) throw std::runtime_error(fmt::format("cannot listen on '{}': {}", address, error.message()));
  // With port 0 all addresses share the port that the first one was given.
  const tcp::endpoint endpoint(found.begin()->endpoint().address(), port != 0 ? port : wanted_port);
  tcp::acceptor& acceptor = impl_->tcp_acceptors.emplace_back(impl_->io);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (!error) acceptor.non_blocking(true, error);
  if (error == asio::error::address_in_use)
    throw std::runtime_error(
        fmt::format("{} is in use by another server: stop that one, or choose another port with "
                    "{} (0 takes a free one)",
                    text_of(endpoint), tls ? "--tls-port" : "--port"));
  if (error)
    throw std::runtime_error(fmt::format("cannot listen on {}: {}", text_of(endpoint), error.message()));
  port = acceptor.local_endpoint().port();
  addresses_.push_back(text_of(acceptor.local_endpoint()) + (tls ? " (TLS)" : ""));
}

void Listener::listen_unix(const config::ServerSettings& settings) {
  const std::string& path = settings.unixsocket;
  if (path.size() >= sizeof(sockaddr_un{}.sun_path))
    throw std::runtime_error(fmt::format("the socket path '{}' is longer than the system allows", path));
  if (is_stale_socket(path)) ::unlink(path.c_str());
  error_code error;
  unix_protocol::acceptor& acceptor = impl_->unix_acceptors.emplace_back(impl_->io);
  acceptor.open(unix_protocol(), error);
  // Created without rights for others, opened up afterwards: no moment in which it is too open.
  const mode_t old_mask = ::umask(0177);
  if (!error) acceptor.bind(unix_protocol::endpoint(path), error);
  ::umask(old_mask);
  if (!error) acceptor.listen(1024, error);
  if (!error) acceptor.non_blocking(true, error);
  if (error == asio::error::address_in_use)
    throw std::runtime_error(
        fmt::format("the socket {} is in use by another server: stop that one, or choose another "
                    "path with --unixsocket",
                    path));
  if (error) throw std::runtime_error(fmt::format("cannot listen on {}: {}", path, error.message()));
  unix_path_ = path;
  ::chmod(path.c_str(), settings.unixsocket_mode);
  addresses_.push_back(path);
}

void Listener::close() {
  error_code ignored;
  for (tcp::acceptor& acceptor : impl_->tcp_acceptors) acceptor.close(ignored);
  for (unix_protocol::acceptor& acceptor : impl_->unix_acceptors) acceptor.close(ignored);
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  unix_path_.clear();
}

}  // namespace larder
