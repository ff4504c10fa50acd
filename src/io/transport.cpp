#include "io/transport.h"

#include <cassert>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace larder {

struct Transport::Tls {
  Ssl ssl;
  bool through = false;  ///< the handshake is done
  bool broken = false;   ///< nothing can be received or sent any more
  bool waits_for_output = false;
  std::string problem;

  ssize_t fail(std::string words) {
    broken = true;
    problem = std::move(words);
    errno = EPROTO;
    return -1;
  }
};

namespace {

/// Why OpenSSL gave up on a connection.
std::string complaint_about(const SSL* ssl) {
  // The last one is about the connection, those before it go into details.
  const unsigned long last = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(last);
  std::string words = "TLS: " + tls_complaint(last);
  ERR_clear_error();
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    words += fmt::format(": {}", X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) words += " (that is not TLS)";
  return words;
}

}  // namespace

Transport::Transport() noexcept = default;
Transport::Transport(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
Transport::Transport(Transport&&) noexcept = default;
Transport& Transport::operator=(Transport&&) noexcept = default;
Transport::~Transport() = default;

void Transport::secure(const TlsContext& context, const std::string& host) {
  tls_ = std::make_unique<Tls>();
  tls_->ssl = context.make_connection(fd_.get(), host);
}

bool Transport::is_through() const noexcept {
  return tls_->through;
}

bool Transport::waits_for_output() const noexcept {
  return tls_->waits_for_output;
}

Transport::Handshake Transport::shake_hands() {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(tls_->ssl.get());
  if (result == 1) {
    tls_->through = true;
    return Handshake::done;
  }
  switch (SSL_get_error(tls_->ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::wants_input;
    case SSL_ERROR_WANT_WRITE:
      return Handshake::wants_output;
    case SSL_ERROR_SSL:
      tls_->fail(complaint_about(tls_->ssl.get()));
      return Handshake::failed;
    default:
      tls_->fail(errno != 0 ? std::strerror(errno) : "TLS: the other side closed the connection");
      return Handshake::hung_up;
  }
}

/// All whole records that have arrived, as far as there is room for one more.
ssize_t Transport::receive_secured(std::span<char> room) {
  assert(room.size() >= kLeastRoom);
  Tls& tls = *tls_;
  if (tls.broken) return tls.fail(std::move(tls.problem));
  SSL* const ssl = tls.ssl.get();
  ssize_t total = 0;
  int count = 0;
  do {
    ERR_clear_error();
    count = SSL_read(ssl, room.data() + total, static_cast<int>(room.size()) - static_cast<int>(total));
    if (count > 0) total += count;
  } while (count == static_cast<int>(kLeastRoom) &&
           room.size() - static_cast<std::size_t>(total) >= kLeastRoom);
  tls.waits_for_output = false;
  if (count > 0) return total;
  const int saved = errno;
  const int error = SSL_get_error(ssl, count);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    tls.waits_for_output = error == SSL_ERROR_WANT_WRITE;
    if (total > 0) return total;
    errno = EAGAIN;
    return -1;
  }
  // The Poller must report the end once more when there were bytes before it.
  if (total > 0) ::shutdown(fd_.get(), SHUT_RD);
  if (error == SSL_ERROR_ZERO_RETURN) return total;
  tls.fail(error == SSL_ERROR_SSL ? complaint_about(ssl) : std::strerror(saved));
  return total > 0 ? total : -1;
}

ssize_t Transport::send_secured(ByteView bytes) {
  Tls& tls = *tls_;
  if (tls.broken) return tls.fail(std::move(tls.problem));
  std::size_t count = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(tls.ssl.get(), bytes.data(), bytes.size(), &count);
  if (result == 1) return static_cast<ssize_t>(count);
  const int saved = errno;
  const int error = SSL_get_error(tls.ssl.get(), result);
  if (error == SSL_ERROR_SSL) return tls.fail(complaint_about(tls.ssl.get()));
  // Whoever closed the connection may have said why before: that can still be received.
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : saved;
  return -1;
}

std::string Transport::problem() const {
  if (tls_ != nullptr && tls_->broken) return tls_->problem;
  return std::strerror(errno);
}

void Transport::close() noexcept {
  if (tls_ != nullptr && tls_->through && !tls_->broken) {
    ERR_clear_error();
    SSL_shutdown(tls_->ssl.get());
    ERR_clear_error();
  }
  tls_.reset();
  fd_.reset();
}

}  // namespace larder
