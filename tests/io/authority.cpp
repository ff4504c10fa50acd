#include "io/authority.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace larder::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

Key make_key() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

void add_extension(X509* certificate, int what, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// Signed by `issuer`, or by itself when that is null.
Certificate make_certificate(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), std::rand());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate.get(),
                       X509_get_subject_name(issuer != nullptr ? issuer : certificate.get()));
  if (issuer == nullptr)
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  else
    add_extension(certificate.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(certificate.get(), issuer_key, EVP_sha256());
  return certificate;
}

template <class Write>
void write_file(const std::string& path, Write write) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  write(file);
  std::fclose(file);
}

}  // namespace

Authority::Authority() {
  std::string pattern = std::filesystem::temp_directory_path() / "larder-authority-XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  const Key ca_key = make_key(), server_key = make_key();
  const std::string name = "Authority of " + directory_.string();
  const Certificate ca_certificate = make_certificate(name.c_str(), ca_key.get(), nullptr, ca_key.get());
  const Certificate server = make_certificate("server", server_key.get(), ca_certificate.get(), ca_key.get());
  write_file(ca(), [&](std::FILE* file) { PEM_write_X509(file, ca_certificate.get()); });
  write_file(certificate(), [&](std::FILE* file) { PEM_write_X509(file, server.get()); });
  write_file(key(), [&](std::FILE* file) {
    PEM_write_PrivateKey(file, server_key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Authority::~Authority() {
  std::filesystem::remove_all(directory_);
}

}  // namespace larder::test
