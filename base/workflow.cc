#include "base/workflow.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.h"

namespace sluice {

namespace {

std::string escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%') {
      out += "%25";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else if (property && c == ':') {
      out += "%3A";
    } else if (property && c == ',') {
      out += "%2C";
    } else {
      out += c;
    }
  }
  return out;
}

// GitHub looks for "::" where a line begins, and for "##[" all over it. A carriage return alone
// ends a line there, too.
bool commands(std::string_view lines) {
  if (lines.find("##[") != std::string_view::npos) return true;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find_first_of("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    std::size_t start = 0;
    // Bytes beyond ASCII may be blanks too; around what isn't one they are stopped for nothing.
    while (start < line.size() && (static_cast<unsigned char>(line[start]) <= ' ' ||
                                   static_cast<unsigned char>(line[start]) >= 0x7f))
      ++start;
    if (line.substr(start).starts_with("::")) return true;
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return false;
}

}  // namespace

std::string workflow_token() {
  std::array<unsigned char, 16> bytes{};
  // It fails of no more than 256 bytes on no kernel that we run on.
  if (::getentropy(bytes.data(), bytes.size()) != 0) std::abort();
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string workflow_text(std::string_view lines, const std::string& token) {
  if (!commands(lines)) return std::string(lines);
  return fmt::format("::stop-commands::{0}\n{1}{2}::{0}::\n", token, lines,
                     lines.ends_with('\n') ? "" : "\n");
}

std::string workflow_command(std::string_view name,
                             const std::vector<std::pair<std::string, std::string>>& properties,
                             std::string_view message) {
  std::string out = "::" + std::string(name);
  char before = ' ';
  for (const auto& [key, value] : properties) {
    if (value.empty()) continue;
    out += before + key + "=" + escaped(value, true);
    before = ',';
  }
  return out + "::" + escaped(message, false) + "\n";
}

std::string workflow_file(const std::string& file, const std::string& directory,
                          const std::string& workspace) {
  if (file.empty()) return {};
  std::string path = file;
  if (!file.starts_with('/')) {
    // A project is found from any directory in it.
    for (std::string at = directory; !at.empty(); at.resize(at.rfind('/'))) {
      if (::access((at + "/" + file).c_str(), F_OK) == 0) {
        path = at + "/" + file;
        break;
      }
      if (at.rfind('/') == std::string::npos) break;
    }
  }
  std::string top = workspace;
  while (top.ends_with('/')) top.pop_back();
  if (!top.empty() && path.starts_with(top + "/")) path.erase(0, top.size() + 1);
  return path;
}

std::string workflow_error(const Error& error, std::string_view title, const std::string& directory,
                           const std::string& workspace) {
  const Provenance& place = error.provenance;
  const std::string file = workflow_file(place.file, directory, workspace);
  const bool line = !file.empty() && place.line > 0;
  std::string message = error.message;
  if (!error.detail.empty()) message += "\n" + error.detail;
  return workflow_command("error",
                          {{"file", file},
                           {"line", line ? std::to_string(place.line) : ""},
                           {"col", line ? std::to_string(place.column + 1) : ""},
                           {"title", std::string(title)}},
                          message);
}

}  // namespace sluice
