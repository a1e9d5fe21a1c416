#include "base/identity.h"

#include <memory>

#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"

namespace sluice {

namespace {

template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    Function(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Memory = std::unique_ptr<BIO, Free<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;

constexpr std::size_t kMostName = 64;  // X.520's bound of a common name
constexpr int kSerialBits = 127;

tl::unexpected<Error> crypto(std::string_view what) {
  char text[256] = "";
  if (const unsigned long code = ::ERR_get_error(); code != 0)
    ::ERR_error_string_n(code, text, sizeof text);
  ::ERR_clear_error();
  return fail("identity", "crypto", std::string(what) + " failed", {}, text);
}

tl::unexpected<Error> bad(std::string message) {
  ::ERR_clear_error();
  return fail("identity", "bad-identity", std::move(message));
}

Memory reader(std::string_view text) {
  return Memory(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string content(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

Result<std::string> fingerprint_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = ::i2d_X509(certificate, &der);
  if (size <= 0) return crypto("Encoding a certificate");
  std::string hash =
      sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return hash;
}

Certificate certificate_in(std::string_view pem) {
  const Memory memory = reader(pem);
  return Certificate(memory ? ::PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr)
                            : nullptr);
}

bool extend(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(::X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension != nullptr && ::X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Letters, digits, dots and dashes alone: the value of the alternative name has a syntax of its
// own.
bool plain(const std::string& name) {
  if (name.empty() || name.size() > kMostName) return false;
  for (const char c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
    if (!good) return false;
  }
  return true;
}

Result<Certificate> sign(EVP_PKEY* key, const std::string& common_name) {
  Certificate certificate(::X509_new());
  const Number serial(::BN_new());
  if (!certificate || !serial || ::X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      ::BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      ::BN_to_ASN1_INTEGER(serial.get(), ::X509_get_serialNumber(certificate.get())) == nullptr ||
      ::ASN1_TIME_set_string_X509(::X509_getm_notBefore(certificate.get()), "20000101000000Z") !=
          1 ||
      // The value by which RFC 5280 says that there is no end.
      ::ASN1_TIME_set_string_X509(::X509_getm_notAfter(certificate.get()), "99991231235959Z") != 1)
    return crypto("Making a certificate");
  X509_NAME* const name = ::X509_get_subject_name(certificate.get());
  if (::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                   -1, 0) != 1 ||
      ::X509_set_issuer_name(certificate.get(), name) != 1 ||
      ::X509_set_pubkey(certificate.get(), key) != 1 ||
      !extend(certificate.get(), NID_subject_key_identifier, "hash") ||
      !extend(certificate.get(), NID_subject_alt_name, "DNS:" + common_name) ||
      !extend(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      ::X509_sign(certificate.get(), key, ::EVP_sha256()) == 0)
    return crypto("Signing a certificate");
  return certificate;
}

Result<Identity> read_identity(Identity identity) {
  const auto key_text = TRY(read_file(identity.key));
  const auto text = TRY(read_file(identity.certificate));
  const Memory memory = reader(key_text);
  const Key key(memory ? ::PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr)
                       : nullptr);
  if (!key) return bad(identity.key + " holds no private key");
  const Certificate certificate = certificate_in(text);
  if (!certificate) return bad(identity.certificate + " holds no certificate");
  if (::X509_check_private_key(certificate.get(), key.get()) != 1)
    return bad(identity.certificate + " is not of the key in " + identity.key);
  identity.fingerprint = TRY(fingerprint_of(certificate.get()));
  return identity;
}

}  // namespace

Result<Identity> make_identity(const std::string& directory, const std::string& name,
                               const std::string& common_name) {
  Identity identity{directory + "/" + name + ".key", directory + "/" + name + ".crt", {}};
  // The certificate is written last: without it there is no identity yet.
  if (path_exists(identity.certificate)) return read_identity(std::move(identity));
  if (!plain(common_name)) return bad("'" + common_name + "' can't be the name in a certificate");
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return crypto("Making a key");
  const auto certificate = TRY(sign(key.get(), common_name));
  const Memory key_pem(::BIO_new(::BIO_s_mem())), pem(::BIO_new(::BIO_s_mem()));
  if (!key_pem || !pem ||
      ::PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                      nullptr) != 1 ||
      ::PEM_write_bio_X509(pem.get(), certificate.get()) != 1)
    return crypto("Writing a certificate");
  CHECK(write_file_atomic(identity.key, content(key_pem.get()), 0600));
  CHECK(write_file_atomic(identity.certificate, content(pem.get()), 0600));
  identity.fingerprint = TRY(fingerprint_of(certificate.get()));
  return identity;
}

Result<std::string> certificate_fingerprint(std::string_view pem) {
  const Certificate certificate = certificate_in(pem);
  if (!certificate) return bad("There is no certificate in the text");
  return fingerprint_of(certificate.get());
}

}  // namespace sluice
