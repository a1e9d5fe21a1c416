#include "broker/link_core.h"

#include <algorithm>

namespace sluice::broker {

namespace {

bool good_name(std::string_view name, std::size_t limit) {
  return !name.empty() && name.size() <= limit && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

std::string wrong_hello(const wire::Hello& hello, std::string_view protocol) {
  if (hello.protocol != protocol) return "protocol";
  if (!good_name(hello.role, 32)) return "role";
  if (!good_name(hello.instance, 64)) return "instance";
  return {};
}

}  // namespace sluice::broker
