#include "base/sha256.h"

#include <type_traits>

// The functions on plain data are what OpenSSL 3 would rather replace by its objects, which
// cost more to make than most of our messages to hash.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace sluice {

namespace {

std::string to_hex(const unsigned char* bytes, std::size_t count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(count * 2, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4];
    text[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return text;
}

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8 &&
              std::is_trivially_copyable_v<SHA256_CTX>);

SHA256_CTX* context(unsigned char* bytes) { return reinterpret_cast<SHA256_CTX*>(bytes); }

}  // namespace

Sha256::Sha256() { SHA256_Init(context(context_)); }

void Sha256::update(std::string_view data) {
  SHA256_Update(context(context_), data.data(), data.size());
}

std::string Sha256::hex() {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256_Final(digest, context(context_));
  return to_hex(digest, sizeof digest);
}

std::string sha256_hex(std::string_view data) {
  Sha256 hash;
  hash.update(data);
  return hash.hex();
}

}  // namespace sluice
