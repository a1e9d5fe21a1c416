#include "elements/root_paths.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::elements {

namespace {

// The number of symbolic links that one path may lead through, as in Linux.
constexpr unsigned kMaxLinks = 40;

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return parts;
}

Result<bool> resolves(const store::Tree& root, const std::string& path) {
  std::vector<std::string> pending = components(path);
  std::reverse(pending.begin(), pending.end());
  std::vector<std::string> at;
  unsigned links = 0;
  while (!pending.empty()) {
    const std::string part = pending.back();
    pending.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      if (!at.empty()) at.pop_back();
      continue;
    }
    at.push_back(part);
    std::string joined;
    for (const auto& name : at) joined += '/' + name;
    auto entry = root.find(joined);
    if (!entry && entry.error().domain != "virtual-fs") return forward(entry);
    if (!entry || !*entry) return false;
    if ((*entry)->type != store::EntryType::kSymlink) continue;
    if (++links > kMaxLinks) return false;
    at.pop_back();
    if ((*entry)->target.starts_with('/')) at.clear();
    auto target = components((*entry)->target);
    pending.insert(pending.end(), target.rbegin(), target.rend());
  }
  return true;
}

}  // namespace

Result<std::string> normal_root_path(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return fail("sandbox", "bad-path", fmt::format("'{}' is not an absolute path", path));
  }
  std::string out;
  for (const std::string& part : components(path)) {
    if (part == ".") continue;
    if (part != "..") {
      out += '/' + part;
    } else if (!out.empty()) {
      out.resize(out.rfind('/'));
    } else {
      return fail("sandbox", "bad-path", fmt::format("'{}' leads out of the root", path));
    }
  }
  return out.empty() ? "/" : out;
}

bool is_in(std::string_view path, std::string_view directory) {
  if (path == directory || directory == "/") return true;
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

Result<bool> has_command(const store::Tree& root, const std::string& command,
                         const model::StringMap& environment) {
  if (command.starts_with('/')) return resolves(root, command);
  const std::string* path = model::find_string(environment, "PATH");
  std::string_view rest =
      path != nullptr ? std::string_view(*path) : std::string_view("/bin:/usr/bin");
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    if (TRY(resolves(root, std::string(rest.substr(0, colon)) + "/" + command))) return true;
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return false;
}

Result<bool> has_own_temporary(const store::Tree& root, std::string_view directory) {
  if (directory != kTemporary && is_in(directory, kTemporary)) return true;
  const auto names = TRY(root.names(kTemporary));
  return !names.empty();
}

}  // namespace sluice::elements
