#include "cli/staging.h"

#include <charconv>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

// The parts of "PROJECT/ELEMENT/KEY".
struct Reference {
  std::string project, element, key;
};

Reference split(const std::string& ref) {
  const auto first = ref.find('/');
  const auto second = ref.find('/', first + 1);
  return {ref.substr(0, first), ref.substr(first + 1, second - first - 1), ref.substr(second + 1)};
}

std::uint32_t number(const model::Node& node, std::string_view key) {
  const std::string text = node.get_string(key, "0");
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The surroundings of an artifact without its element: what it was built with.
Status surroundings_of(const store::Cas& cas, const ArtifactTarget& target,
                       elements::JobData& data) {
  auto meta = TRY(store::read_meta(cas, *target.artifact));
  data.body.environment = meta.environment;
  data.body.variables = meta.variables;
  data.body.public_data = meta.public_data;
  data.body.sandbox.build_os = meta.sandbox_config.get_string("build-os");
  data.body.sandbox.build_arch = meta.sandbox_config.get_string("build-arch");
  data.body.sandbox.build_uid = number(meta.sandbox_config, "build-uid");
  data.body.sandbox.build_gid = number(meta.sandbox_config, "build-gid");
  const Reference reference = split(target.ref);
  data.element.name = reference.element;
  data.element.full_name = target.full_name;
  data.element.project = reference.project;
  data.job.keys = {target.artifact->weak_key, target.artifact->strict_key,
                   target.artifact->strong_key};
  return {};
}

}  // namespace

Result<model::ArtifactRef> artifact_ref_of(const ArtifactTargets& targets,
                                           const ArtifactTarget& target) {
  if (!target.artifact && !target.element) {
    return fail("element", "missing-sandbox-config",
                fmt::format("Error preparing sandbox for element: {}", split(target.ref).element),
                {},
                "This is most likely an artifact that is not yet cached, try building or pulling "
                "the artifact first");
  }
  if (!target.artifact) {
    return fail("element", "uncached-checkout-attempt", "No artifacts to stage", {},
                "No artifacts have been cached yet for " + target.full_name +
                    "\nTry building the element first with `sluice build`\n");
  }
  const Reference reference = split(target.ref);
  const store::ArtifactInfo& info = *target.artifact;
  model::ArtifactRef ref;
  ref.project = reference.project;
  ref.element = target.element ? target.name : reference.element;
  ref.full_name = target.full_name;
  ref.key = info.strong_key;
  ref.weak_key = info.weak_key;
  ref.files = info.files;
  ref.public_data = info.public_data;
  ref.low_diversity_meta = info.low_diversity_meta;
  if (target.element) {
    ref.index = *target.element;
    ref.kind = targets.loaded()->snapshot.elements[*target.element].kind;
    for (const auto& dependency :
         targets.loaded()->snapshot.elements[*target.element].dependencies) {
      if (dependency.runtime) ref.runtime_dependencies.push_back(dependency.element);
    }
  }
  return ref;
}

Result<elements::JobData> job_data(ArtifactTargets& targets) {
  elements::JobData data;
  data.settings = targets.settings();
  if (const LoadedProject* loaded = targets.loaded()) {
    if (loaded->snapshot.targets.size() != 1)
      return fail("app", "bad-target", "Exactly one element must be named");
    const auto index = loaded->snapshot.targets.front();
    const model::Element& element = loaded->snapshot.elements[index];
    const model::Project& project = loaded->snapshot.projects[element.project];
    data.body = TRY(wire::unpack_body(element.body));
    data.element.name = element.name;
    data.element.full_name = element.full_name;
    data.element.kind = element.kind;
    data.element.project = project.name;
    data.element.project_directory = project.directory;
    data.element.sources_key = element.sources_key;
    data.element.fatal_warnings = project.fatal_warnings;
    data.job.keys = element.keys;
    for (const auto& target : targets.targets()) {
      auto ref = TRY(artifact_ref_of(targets, target));
      for (const auto& dependency : element.dependencies) {
        if (dependency.element != ref.index) continue;
        ref.build = dependency.build;
        ref.runtime = dependency.runtime;
      }
      data.job.dependencies.push_back(std::move(ref));
    }
    return data;
  }
  for (const auto& target : targets.targets()) {
    auto ref = TRY(artifact_ref_of(targets, target));
    data.job.dependencies.push_back(std::move(ref));
  }
  if (targets.targets().empty())
    return fail("stream", "no-artifact", "No artifact was found by that name");
  CHECK(surroundings_of(targets.cas(), targets.targets().front(), data));
  return data;
}

}  // namespace sluice::cli
