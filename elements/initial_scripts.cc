#include "elements/initial_scripts.h"

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::elements {

namespace {

// An element's name with '_' for each character that is neither a letter nor a digit of ASCII.
std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) == 0x80) continue;  // the character's first byte stands for it
    const bool kept = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    out += kept ? c : '_';
  }
  return out;
}

}  // namespace

Result<std::string> assemble_initial_scripts(Build& build) {
  store::Tree& tree = build.root().tree();
  const auto make = [&](const std::string& directory) { return tree.make_directory(directory); };
  unsigned count = 0;
  for (const model::ArtifactRef& artifact : build.dependencies()) {
    const auto domain = TRY(public_domain(build.cas(), artifact, "initial-script"));
    const model::Node* script = domain ? domain->find("script") : nullptr;
    if (script == nullptr) continue;
    if (!script->is_scalar()) {
      return fail("load", "invalid-data",
                  fmt::format("The public data initial-script.script of {} is no text",
                              artifact.full_name));
    }
    const std::string directory =
        TRY(store::walk_path("", build.data().body.config.get_string("path"), make));
    CHECK(tree.put_file(fmt::format("{}/{:03}-{}", directory, ++count, file_name(artifact.element)),
                        TRY(build.cas().add(script->scalar)), true));
  }
  return "/";
}

}  // namespace sluice::elements
