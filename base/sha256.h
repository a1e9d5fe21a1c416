// SHA-256 in the lower-case hexadecimal form that keys and digests use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

// Incremental; copying keeps the midstate, so that many messages with one
// prefix hash that prefix once.
class Sha256 {
 public:
  Sha256();

  void update(std::string_view data);
  // 64 hexadecimal digits. The object can't be used after it but for assignment.
  std::string hex();

 private:
  // OpenSSL's SHA256_CTX: plain data, and no allocation for each of a hundred thousand midstates.
  alignas(8) unsigned char context_[112];
};

std::string sha256_hex(std::string_view data);

}  // namespace sluice
