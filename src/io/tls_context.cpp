#include "io/tls_context.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "io/stream.h"

namespace larder {
namespace {

constexpr unsigned char kSessionContext[] = "larder";  // resumption with client certificates needs one

int version_of(config::TlsVersion version) noexcept {
  return version == config::TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/// OpenSSL's own words for a file that cannot be opened are less clear.
void check_readable(const std::string& key, const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  const int problem = !file || ::fstat(file.get(), &status) != 0 ? errno
                      : S_ISDIR(status.st_mode)                  ? EISDIR
                                                                 : 0;
  if (problem == 0) return;
  throw TlsError(key, fmt::format("is \"{}\", which cannot be read: {}; it must be a file in PEM form", path,
                                  std::strerror(problem)));
}

[[noreturn]] void refuse(const std::string& key, const std::string& value, std::string_view what) {
  const std::string cause = tls_complaint(ERR_peek_error());
  ERR_clear_error();
  throw TlsError(key, fmt::format("is \"{}\", {}: {}", value, what, cause));
}

/// Without it OpenSSL would ask at the terminal.
int give_password(char* room, int size, int, void* settings) {
  const std::string& password = static_cast<const config::TlsSettings*>(settings)->key_file_pass;
  if (password.empty() || password.size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(room, password.data(), password.size());
  return static_cast<int>(password.size());
}

void load_own_certificate(SSL_CTX* context, const config::TlsSettings& settings) {
  if (settings.cert_file.empty()) return;
  check_readable("cert_file", settings.cert_file);
  if (SSL_CTX_use_certificate_chain_file(context, settings.cert_file.c_str()) != 1)
    refuse("cert_file", settings.cert_file, "which has no certificate in PEM form");
  const bool apart = !settings.key_file.empty();
  const std::string key = apart ? "key_file" : "cert_file";
  const std::string& path = apart ? settings.key_file : settings.cert_file;
  check_readable(key, path);
  SSL_CTX_set_default_passwd_cb(context, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<config::TlsSettings*>(&settings));
  const bool is_used = SSL_CTX_use_PrivateKey_file(context, path.c_str(), SSL_FILETYPE_PEM) == 1;
  const bool fits = is_used && SSL_CTX_check_private_key(context) == 1;
  if (fits) return;
  if (is_used || ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509)
    refuse(key, path, "which is not the key of the certificate");
  refuse(key, path, "from which no private key in PEM form can be read (is key_file_pass right?)");
}

void load_authorities(SSL_CTX* context, const TlsOptions& options) {
  const config::TlsSettings& settings = options.settings;
  const bool is_server = options.role == TlsOptions::Role::server;
  if (!settings.ca_cert_file.empty()) {
    check_readable("ca_cert_file", settings.ca_cert_file);
    if (SSL_CTX_load_verify_file(context, settings.ca_cert_file.c_str()) != 1)
      refuse("ca_cert_file", settings.ca_cert_file, "which has no certificate in PEM form");
    if (is_server)
      SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(settings.ca_cert_file.c_str()));
  }
  if (!settings.ca_cert_dir.empty()) {
    struct stat status {};
    if (::stat(settings.ca_cert_dir.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      throw TlsError("ca_cert_dir",
                     fmt::format("is \"{}\"; it must be a directory, prepared with openssl rehash",
                                 settings.ca_cert_dir));
    if (SSL_CTX_load_verify_dir(context, settings.ca_cert_dir.c_str()) != 1)
      refuse("ca_cert_dir", settings.ca_cert_dir, "which cannot be used");
  }
  if (!is_server && settings.ca_cert_file.empty() && settings.ca_cert_dir.empty())
    SSL_CTX_set_default_verify_paths(context);
}

void set_rules(SSL_CTX* context, const config::TlsSettings& settings) {
  SSL_CTX_set_min_proto_version(context, version_of(settings.min_version));
  if (!settings.ciphers.empty() && SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1)
    refuse("ciphers", settings.ciphers, "of which OpenSSL knows none (openssl ciphers lists them)");
  if (!settings.ciphersuites.empty() && SSL_CTX_set_ciphersuites(context, settings.ciphersuites.c_str()) != 1)
    refuse("ciphersuites", settings.ciphersuites, "which OpenSSL does not know (openssl ciphers -tls1_3)");
  // The end of the stream needs no seal of its own: replies and requests carry their lengths.
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // Resumption is by tickets, which cost a server no memory.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
}

int verify_mode(PeerCheck check) noexcept {
  switch (check) {
    case PeerCheck::none:
      return SSL_VERIFY_NONE;
    case PeerCheck::optional:
      return SSL_VERIFY_PEER;
    case PeerCheck::certificate:
    case PeerCheck::name:
      break;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

bool is_ip_address(const std::string& host) noexcept {
  in6_addr any;
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1 || ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

}  // namespace

void FreeSsl::operator()(ssl_st* ssl) const noexcept {
  SSL_free(ssl);
}

TlsContext::TlsContext(TlsOptions options) : options_(std::move(options)), context_(load()) {}

void TlsContext::reload() {
  Context fresh = load();
  const std::lock_guard lock(mutex_);
  context_ = std::move(fresh);
}

TlsContext::Context TlsContext::load() const {
  const bool is_server = options_.role == TlsOptions::Role::server;
  Context context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  set_rules(context.get(), options_.settings);
  load_own_certificate(context.get(), options_.settings);
  load_authorities(context.get(), options_);
  SSL_CTX_set_verify(context.get(), verify_mode(options_.check), nullptr);
  return context;
}

TlsContext::Context TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

Ssl TlsContext::make_connection(int fd, const std::string& host) const {
  Ssl ssl(SSL_new(current().get()));
  SSL_set_fd(ssl.get(), fd);
  if (options_.role == TlsOptions::Role::server) {
    SSL_set_accept_state(ssl.get());
    return ssl;
  }
  SSL_set_connect_state(ssl.get());
  const std::string& name = options_.server_name.empty() ? host : options_.server_name;
  const bool is_address = is_ip_address(name);
  if (!is_address) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (options_.check != PeerCheck::name) return ssl;
  if (is_address)
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str());
  else
    SSL_set1_host(ssl.get(), name.c_str());
  return ssl;
}

std::string tls_complaint(unsigned long code) {
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(static_cast<int>(ERR_GET_REASON(code)));
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("OpenSSL's error {:x}", code);
}

}  // namespace larder
