#include "base/result.h"

#include <cstring>

#include <fmt/format.h>

namespace sluice {

std::string Provenance::str() const {
  if (line == 0) return file;
  return fmt::format("{} [line {} column {}]", file, line, column);
}

std::string Error::place() const {
  if (!provenance.known()) return {};
  return subject.empty() ? provenance.str() : fmt::format("{} at {}", subject, provenance.str());
}

std::string Error::str() const {
  std::string text = place();
  if (!text.empty()) text += ": ";
  text += message;
  if (!detail.empty()) text += "\n\n" + detail;
  return text;
}

tl::unexpected<Error> fail_errno(int errno_value, std::string_view what) {
  const char* name = strerrorname_np(errno_value);
  std::string reason = name != nullptr ? name : "errno";
  for (char& c : reason) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const char* text = strerrordesc_np(errno_value);
  return fail("util", std::move(reason),
              fmt::format("{}: {}", what, text != nullptr ? text : "unknown error"));
}

}  // namespace sluice
