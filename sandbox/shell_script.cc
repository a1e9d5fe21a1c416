#include "sandbox/shell_script.h"

#include <algorithm>

namespace sluice::sandbox {

std::string shell_quote(std::string_view text) {
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("@%_-+=:,./").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), safe)) return std::string(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\"'\"'";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string strip(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

void ShellScript::add_removal(std::string_view path) {
  text_ += "rm -rf -- " + shell_quote(path) + " || true\n";
  // What is captured begins with the directory of the first command, which may be below the path.
  if (first_) text_ += "mkdir -p " + first_->directory + " || true\n";
}

void ShellScript::add_file(std::string_view name) {
  text_ += "touch -- " + shell_quote(name) + "\n";
}

void ShellScript::add(const Command& command) {
  model::StringMap environment = command.environment;
  auto pwd = std::find_if(environment.begin(), environment.end(),
                          [](const auto& entry) { return entry.first == "PWD"; });
  if (pwd != environment.end()) {
    pwd->second = command.directory;
  } else {
    environment.emplace_back("PWD", command.directory);
  }

  if (!first_) {
    first_ = command;
    first_->environment = environment;
  } else {
    if (command.directory != directory_) {
      text_ += "mkdir -p " + command.directory + "\n";
      text_ += "cd " + command.directory + "\n";
    }
    for (const auto& [name, value] : environment_) {
      if (model::find_string(environment, name) == nullptr) text_ += "unset " + name + "\n";
    }
    for (const auto& [name, value] : environment) {
      const std::string* before = model::find_string(environment_, name);
      if (before != nullptr && *before == value) continue;
      text_ += "export " + name + "=" + shell_quote(value) + "\n";
      exports_ = exports_ || name != "PWD";
    }
  }
  directory_ = command.directory;
  environment_ = std::move(environment);

  std::string line;
  for (const std::string& argument : command.argv) {
    if (!line.empty()) line += ' ';
    line += shell_quote(argument);
  }
  text_ += "(set -ex; " + line + ")";
  const std::string& label = command.label.empty() ? line : command.label;
  text_ += " || (echo Command " + shell_quote("'" + label + "'") +
           " failed with exitcode $? >&2 ; exit 1)\n";

  if (!command.label.empty()) {
    if (!labels_.empty()) labels_ += '\n';
    labels_ += command.label;
  }
}

}  // namespace sluice::sandbox
