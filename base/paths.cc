#include "base/paths.h"

#include <vector>

#include <fmt/format.h>

namespace sluice {

std::string normalize(std::string_view path) {
  if (path.empty()) return ".";
  // Exactly two leading slashes are POSIX's own matter, and kept.
  std::size_t slashes = 0;
  while (slashes < path.size() && path[slashes] == '/') ++slashes;
  const std::size_t kept = slashes == 2 ? 2 : slashes > 0 ? 1 : 0;
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i <= path.size();) {
    std::size_t end = path.find('/', i);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(i, end - i);
    i = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (part != ".." || kept == 0) {
      parts.push_back(part);
    }
  }
  std::string result(kept, '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += '/';
    result += parts[i];
  }
  return result.empty() ? "." : result;
}

std::string parent(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return "";
  std::string_view head = path.substr(0, slash + 1);
  if (head.find_first_not_of('/') != std::string_view::npos)
    head = head.substr(0, head.find_last_not_of('/') + 1);
  return std::string(head);
}

std::string join(std::string_view first, std::string_view second) {
  if (second.starts_with('/') || first.empty()) return std::string(second);
  std::string joined(first);
  if (!joined.ends_with('/')) joined += '/';
  joined += second;
  return joined;
}

std::string file_url(std::string_view host, std::string_view path) {
  std::string url = fmt::format("file://{}", host);
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-._~+@,=").find(c) != std::string_view::npos;
    if (plain) {
      url += c;
    } else {
      url += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return url;
}

}  // namespace sluice
