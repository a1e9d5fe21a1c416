#include "cli/build_scripts.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "sandbox/shell_script.h"

namespace sluice::cli {

namespace {

using sandbox::shell_quote;

constexpr std::string_view kCommandKinds[] = {"autotools", "cmake", "make", "manual", "meson"};
constexpr const char* kCommandSteps[] = {"configure-commands", "build-commands", "install-commands",
                                         "strip-commands"};

std::string variable(const model::ElementBody& body, std::string_view name) {
  const std::string* value = model::find_string(body.variables, name);
  return value != nullptr ? *value : std::string();
}

// A command in a shell of its own, as in the sandbox.
std::string step(std::string_view command) {
  return fmt::format("(set -ex; {}\n) || exit 1\n", command);
}

std::string joined(std::string directory, std::string_view below) {
  while (!below.empty() && below.front() == '/') below.remove_prefix(1);
  while (!below.empty() && below.back() == '/') below.remove_suffix(1);
  if (!below.empty()) directory += "/" + std::string(below);
  return directory;
}

}  // namespace

std::optional<std::string> build_commands_of(const model::Element& element,
                                             const model::ElementBody& body) {
  const std::string& kind = body.builds_as.empty() ? element.kind : body.builds_as;
  std::string script;
  if (kind == "import") {
    const std::string from =
        joined(variable(body, "build-root"), body.config.get_string("source", "/"));
    const std::string to =
        joined(variable(body, "install-root"), body.config.get_string("target", "/"));
    script += step("mkdir -p " + shell_quote(to));
    script += step(fmt::format("cp -a {} {}", shell_quote(from + "/."), shell_quote(to)));
    return script;
  }
  if (std::find(std::begin(kCommandKinds), std::end(kCommandKinds), kind) ==
      std::end(kCommandKinds))
    return std::nullopt;
  for (const char* commands : kCommandSteps) {
    for (const std::string& command : body.config.get_strings(commands)) script += step(command);
  }
  return script;
}

std::string element_build_script(const std::string& directory, const model::Element& element,
                                 const model::ElementBody& body, const std::string& commands) {
  const std::string build_root = shell_quote(variable(body, "build-root"));
  const std::string install_root = shell_quote(variable(body, "install-root"));
  const std::string sources = "\"$SRCDIR\"/" + shell_quote(directory);
  std::string script = fmt::format(
      "#!/bin/sh\n# Builds {} from its sources below $SRCDIR, and installs it.\nset -e\n\n",
      element.full_name);
  script += fmt::format("echo {}\n", shell_quote("Building " + element.full_name));
  script += fmt::format("rm -rf {0} {1}\nmkdir -p {0} {1}\n", build_root, install_root);
  script += fmt::format("if [ -d {0} ]; then cp -a {0}/. {1}; fi\ncd {1}\n\n", sources, build_root);
  script += fmt::format("export PREFIX={}\n", install_root);
  for (const auto& [key, value] : body.environment)
    script += fmt::format("export {}={}\n", key, shell_quote(value));
  script += "\n" + commands;
  script += fmt::format("\ncd /\nrm -rf {}\necho {}\ncp -af {}/. /\n", build_root,
                        shell_quote("Installing " + element.full_name), install_root);
  return script;
}

std::string master_build_script(const std::vector<std::string>& scripts) {
  std::string script = R"(#!/bin/sh
# Builds what was checked out, one element after the other.
set -eu

export PATH=/usr/bin:/usr/sbin:/sbin:/bin:/tools/bin:/tools/sbin
here=$(dirname "$0")
export SRCDIR="${SRCDIR:-$(cd "$here" && pwd)}"

script=
trap 'status=$?; [ $status = 0 ] || echo "$script failed" >&2; exit $status' EXIT
)";
  script += "for script in";
  for (const std::string& name : scripts) script += " " + shell_quote(name);
  script += R"(; do
  "$SRCDIR/$script"
  if [ -e /sbin/ldconfig ]; then /sbin/ldconfig || true; fi
done
)";
  return script;
}

}  // namespace sluice::cli
