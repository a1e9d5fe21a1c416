#include "wire/hello.h"

#include <algorithm>

namespace sluice::wire {

namespace {

bool is_name(std::string_view name, std::size_t limit) {
  return !name.empty() && name.size() <= limit && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

std::string_view wrong_hello(const Hello& hello, std::string_view protocol, std::string_view role) {
  if (hello.protocol != protocol) return "protocol";
  if (!is_name(hello.role, 32) || (!role.empty() && hello.role != role)) return "role";
  if (!is_name(hello.instance, 64)) return "instance";
  return {};
}

Greeting::Refusal Greeting::refused(const Refused& refused) {
  if (refused.reason != kNoHello) {
    welcomed_ = false;
    return Refusal::kFinal;
  }
  if (!welcomed_) return Refusal::kStale;
  welcomed_ = false;
  return Refusal::kSayAgain;
}

}  // namespace sluice::wire
