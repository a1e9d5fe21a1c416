#include "model/names.h"

#include <algorithm>

namespace sluice::model {

std::string normal_name(std::string_view element) {
  // As os.path.splitext(): the last extension goes, but not a dot that only leads the name.
  std::string name(element);
  std::replace(name.begin(), name.end(), '/', '-');
  const std::size_t dot = name.find_last_of('.');
  if (dot != std::string::npos && name.find_first_not_of('.') < dot) name.resize(dot);
  return name;
}

std::string artifact_ref(std::string_view project, std::string_view element, std::string_view key) {
  std::string ref(project);
  ref += '/';
  for (const char c : normal_name(element)) {
    // One '_' stands for each character, not for each byte of it.
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;
    const bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
    ref += allowed ? c : '_';
  }
  ref += '/';
  return ref += key;
}

}  // namespace sluice::model
