#include "elements/flatpak.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/try.h"
#include "elements/compose.h"
#include "elements/layout.h"
#include "model/names.h"

namespace sluice::elements {

namespace {

constexpr const char* kInput = "/buildstream/allfiles";
constexpr const char* kInstall = "/buildstream/install";
constexpr const char* kRepository = "/buildstream/repo";

// Metadata is what an image says of itself, sections of keys with their values. It is read and
// written as Python's configparser does it: a section DEFAULT has values for all others, and is
// written first; "%(KEY)s" in a value stands for another one, and "%%" for '%'.
class Metadata {
 public:
  explicit Metadata(const model::Node& sections) {
    for (const auto& [name, pairs] : sections.map) {
      const bool is_default = name == "DEFAULT";
      if (!is_default) sections_.emplace_back(name, Pairs{});
      // A section without a name has its values among the defaults.
      Pairs& to = is_default || name.empty() ? defaults_ : sections_.back().second;
      for (const auto& [key, value] : pairs.map) to.emplace_back(key, value.scalar);
    }
  }

  bool has(std::string_view section) const {
    return std::any_of(sections_.begin(), sections_.end(),
                       [&](const auto& each) { return each.first == section; });
  }

  // Fails for keys that couldn't be read again.
  Status check() const {
    CHECK(check(defaults_));
    for (const auto& [name, pairs] : sections_) CHECK(check(pairs));
    return {};
  }

  std::string text() const {
    std::string out;
    if (!defaults_.empty()) write(out, "DEFAULT", defaults_);
    for (const auto& [name, pairs] : sections_) write(out, name, pairs);
    return out;
  }

  // The directories of the extensions that it has a place for.
  Result<std::vector<std::string>> extension_directories() const {
    std::vector<std::string> directories;
    for (const auto& [name, pairs] : sections_) {
      if (!name.starts_with("Extension ")) continue;
      const std::string* directory = find(pairs, "directory");
      if (directory == nullptr) return bad(fmt::format("[{}] has no 'directory'", name));
      directories.push_back(TRY(expanded(pairs, *directory, 0)));
    }
    return directories;
  }

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  static constexpr unsigned kDeepest = 10;

  // To BuildStream this is no failure of the element, and nothing is cached.
  static tl::unexpected<Error> bad(std::string why) {
    return fail("plugin", "bad-metadata", "The metadata can't be used: " + std::move(why));
  }

  static Status check(const Pairs& pairs) {
    for (const auto& [key, value] : pairs) {
      if (key.find_first_of("=:") != std::string::npos)
        return bad(fmt::format("the key '{}' has a '=' or ':' in it", key));
      if (key.size() > 2 && key.front() == '[' && key.find(']', 2) != std::string::npos)
        return bad(fmt::format("the key '{}' looks like a section's head", key));
    }
    return {};
  }

  static void write(std::string& out, std::string_view section, const Pairs& pairs) {
    out += fmt::format("[{}]\n", section);
    for (const auto& [key, value] : pairs) {
      out += key + " = ";
      for (const char c : value) {
        out += c;
        if (c == '\n') out += '\t';
      }
      out += '\n';
    }
    out += '\n';
  }

  const std::string* find(const Pairs& pairs, std::string_view key) const {
    for (const Pairs* among : {&pairs, &defaults_}) {
      for (const auto& [name, value] : *among) {
        if (name == key) return &value;
      }
    }
    return nullptr;
  }

  Result<std::string> expanded(const Pairs& pairs, const std::string& value, unsigned depth) const {
    if (depth > kDeepest) return bad(fmt::format("'{}' refers to itself", value));
    std::string out;
    for (std::size_t at = 0; at < value.size(); ++at) {
      if (value[at] != '%') {
        out += value[at];
        continue;
      }
      if (++at < value.size() && value[at] == '%') {
        out += '%';
        continue;
      }
      const std::size_t end = value.find(")s", at);
      if (at >= value.size() || value[at] != '(' || end == std::string::npos)
        return bad(fmt::format("'%' in '{}' is followed by neither '%' nor '('", value));
      const std::string name = value.substr(at + 1, end - at - 1);
      const std::string* other = find(pairs, name);
      if (other == nullptr) return bad(fmt::format("'{}' refers to '{}'", value, name));
      out += TRY(expanded(pairs, *other, depth + 1));
      at = end + 1;
    }
    return out;
  }

  Pairs defaults_;
  std::vector<std::pair<std::string, Pairs>> sections_;
};

Metadata metadata_of(const Build& build) {
  const model::Node* sections = build.data().body.config.find("metadata");
  return Metadata(sections != nullptr ? *sections : model::Node::make_map());
}

SplitRules::Choice choice_of(const Build& build) {
  const model::Node& config = build.data().body.config;
  return {config.get_strings("include"), config.get_strings("exclude"), true};
}

// Imports one directory of the root into another, if it is there.
Status import(Build& build, const std::string& from, const std::string& to) {
  store::Tree& tree = build.root().tree();
  if (!TRY(tree.find(from))) return {};
  const auto files = TRY(tree.store_directory(build.cas(), from));
  CHECK(tree.make_directory(to));
  return tree.merge(files, to);
}

Result<std::string> lay_out(Build& build, bool with_etc) {
  store::Tree& tree = build.root().tree();
  const auto make = [&](const std::string& directory) { return tree.make_directory(directory); };
  const Metadata metadata = metadata_of(build);
  const std::string files = fmt::format("{}/files", kInstall);
  CHECK(tree.make_directory(kInput));
  CHECK(tree.make_directory(files));
  if (metadata.has("Application")) CHECK(tree.make_directory(fmt::format("{}/export", kInstall)));
  for (const std::string& directory : TRY(metadata.extension_directories())) {
    if (directory.starts_with('/')) {
      return fail("virtual-fs", "bad-path",
                  fmt::format("The directory '{}' of an extension is absolute", directory));
    }
    TRY(store::walk_path(files, directory, make));
  }
  // Of the root nothing is taken. A relative directory would be one of where BuildStream happens to
  // run, and nothing is there.
  const std::string directory = build.data().body.config.get_string("directory");
  const std::string normal = TRY(store::walk_path("", directory));
  if (directory.starts_with('/') && !normal.empty()) CHECK(import(build, kInput + normal, files));
  if (with_etc) CHECK(import(build, fmt::format("{}/etc", kInput), files + "/etc"));
  CHECK(tree.put_file(fmt::format("{}/metadata", kInstall), TRY(build.cas().add(metadata.text())),
                      false));
  return kInstall;
}

// Has the image's components described. Of several it is the last one, as in BuildStream's plugin.
Status compose_components(Build& build) {
  const model::Node& config = build.data().body.config;
  const auto components = config.get_strings("component-ids");
  if (components.empty()) return {};
  const std::string directory = config.get_string("directory");
  const std::string below =
      directory.substr(std::min(directory.find_first_not_of('/'), directory.size()));
  const std::string share =
      below.empty() ? fmt::format("{}/share", kInput)
                    : fmt::format("{}/{}{}share", kInput, below, below.ends_with('/') ? "" : "/");
  const std::string& id = components.back();
  sandbox::ShellScript script;
  add_command(script, build,
              fmt::format("appstreamcli compose --components {0} --result-root {1} --prefix {2} "
                          "--data-dir {3} --origin {0} {4}",
                          id, kInstall, directory, share, kInput));
  build.artifact().collect_on_failure(kInstall);
  return build.commands().run(script, true);
}

// ---- flatpak_repo -----------------------------------------------------------

// An image that goes into the repository.
struct Image {
  std::string group;  // names its command; a later one of the same name takes its place
  const model::ArtifactRef* artifact;
  std::string branch;

  std::string location() const {
    return "/buildstream/input/" + model::normal_name(artifact->element);
  }
};

// The images in the order in which they are named; those of a stack are its dependencies.
Result<std::vector<Image>> images_of(const Build& build) {
  std::map<model::ElementIndex, const model::ArtifactRef*> artifacts;
  for (const model::ArtifactRef& artifact : build.dependencies())
    artifacts.emplace(artifact.index, &artifact);
  const auto at = [&](model::ElementIndex index) -> Result<const model::ArtifactRef*> {
    const auto found = artifacts.find(index);
    if (found != artifacts.end()) return found->second;
    return fail("job", "bad-job", "The job names an image that is none of its dependencies");
  };
  std::vector<Image> images;
  const std::string branch = build.data().body.config.get_string("branch");
  for (const auto& [index, config] : build.data().body.dependency_configs) {
    const model::ArtifactRef& artifact = *TRY(at(index));
    const std::string own = config.get_string("branch", branch);
    if (truth(config, "flatpak-image", false)) {
      images.push_back({artifact.full_name, &artifact, own});
    } else if (truth(config, "flatpak-stack", false)) {
      for (const model::ElementIndex below : artifact.runtime_dependencies) {
        const model::ArtifactRef& image = *TRY(at(below));
        images.push_back({fmt::format("{} ({})", artifact.full_name, image.element), &image, own});
      }
    }
  }
  return images;
}

Result<Layout> repository_layout(const Build& build) {
  Layout layout;
  const auto is_image = [](const model::DependencyConfig& entry) {
    return truth(entry.config, "flatpak-image", false) ||
           truth(entry.config, "flatpak-stack", false);
  };
  const auto& configs = build.data().body.dependency_configs;
  for (const model::ArtifactRef& artifact : build.dependencies()) {
    if (!artifact.build) continue;
    const auto of_it = [&](const auto& entry) { return entry.element == artifact.index; };
    const bool tool = std::none_of(configs.begin(), configs.end(), of_it) ||
                      std::any_of(configs.begin(), configs.end(), [&](const auto& entry) {
                        return of_it(entry) && !is_image(entry);
                      });
    if (tool) layout.locations["/"].push_back(artifact.index);
  }
  for (const Image& image : TRY(images_of(build)))
    layout.locations[image.location()].push_back(image.artifact->index);
  return layout;
}

}  // namespace

Status stage_flatpak_image(Build& build) {
  build.commands().mark_directory(kInput);
  build.commands().mark_directory(kInstall);
  build.commands().set_configured();
  build.commands().show_environment();
  CHECK(metadata_of(build).check());
  std::map<std::string, std::vector<model::ElementIndex>> layout;
  const auto& configs = build.data().body.dependency_configs;
  for (const model::ArtifactRef& artifact : build.dependencies()) {
    if (!artifact.build) continue;
    bool configured = false;
    for (const auto& [index, config] : configs) {
      if (index != artifact.index) continue;
      configured = true;
      layout[config.get_string("location")].push_back(index);
    }
    if (!configured) layout[kInput].push_back(artifact.index);
  }
  const SplitRules::Choice choice = choice_of(build);
  for (const auto& [location, direct] : layout) {
    Reporter::Activity activity(build.reporter(),
                                fmt::format("Staging dependencies at: {}", location));
    const auto selection = TRY(runtime_closure(build.dependencies(), direct));
    CHECK(build.root().stage(selection, location, location == kInput ? &choice : nullptr));
    activity.success();
  }
  return {};
}

Result<std::string> assemble_flatpak_image(Build& build) {
  CHECK(compose_components(build));
  const Metadata metadata = metadata_of(build);
  return lay_out(build, !metadata.has("Application") && !metadata.has("ExtensionOf"));
}

Status stage_flatpak_image_2(Build& build) {
  build.commands().show_environment();
  CHECK(metadata_of(build).check());
  const SplitRules::Choice choice = choice_of(build);
  Reporter::Activity activity(build.reporter(), "Staging dependencies");
  CHECK(build.root().stage(everything(build.dependencies()), kInput, &choice));
  activity.success();
  return {};
}

Result<std::string> assemble_flatpak_image_2(Build& build) {
  CHECK(build.root().stage_sources("/input"));
  return lay_out(build, true);
}

Status stage_flatpak_repo(Build& build) {
  build.commands().set_work_directory(build.data().directory_variable("cwd", "/"));
  build.commands().mark_directory(kRepository);
  build.commands().set_configured();
  build.commands().show_environment();
  CHECK(stage_layout(build, TRY(repository_layout(build))));
  return build.root().tree().make_directory(kRepository);
}

Result<std::string> assemble_flatpak_repo(Build& build) {
  build.artifact().collect_on_failure(kRepository);
  const model::Node& config = build.data().body.config;
  std::vector<std::pair<std::string, std::string>> commands;
  const auto add = [&](std::string group, std::string command) {
    const auto known = std::find_if(commands.begin(), commands.end(),
                                    [&](const auto& entry) { return entry.first == group; });
    if (known != commands.end()) {
      known->second = std::move(command);
    } else {
      commands.emplace_back(std::move(group), std::move(command));
    }
  };
  add("init",
      fmt::format("ostree init --repo={} --mode={}", kRepository, config.get_string("repo-mode")));
  for (const Image& image : TRY(images_of(build))) {
    add("export " + image.group,
        fmt::format("flatpak build-export --files=files --arch={} {} {} {}",
                    config.get_string("arch"), kRepository, image.location(), image.branch));
  }
  if (const model::Node* copies = config.find("copy-refs"); copies != nullptr) {
    for (const model::Node& copy : copies->list) {
      const std::string from = copy.get_string("src");
      const std::string to = copy.get_string("dest");
      add(fmt::format("copy {} -> {}", from, to),
          fmt::format("flatpak build-commit-from --src-ref={} {} {}", from, kRepository, to));
    }
  }
  sandbox::ShellScript script;
  for (const auto& [group, command] : commands) add_command(script, build, command);
  build.commands().clean_build_root();
  CHECK(build.commands().run(script, true));
  return kRepository;
}

}  // namespace sluice::elements
