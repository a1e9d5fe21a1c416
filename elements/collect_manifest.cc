#include "elements/collect_manifest.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "elements/compose.h"
#include "elements/spdx.h"
#include "model/names.h"
#include "sources/exports.h"
#include "sources/info.h"
#include "wire/snapshot.h"

namespace sluice::elements {

namespace {

constexpr const char* kManifest = "cpe-manifest";
constexpr const char* kInfos = "source-info-manifest";
constexpr const char* kInfosList = "element-infos";
constexpr const char* kVersionPattern = R"(\d+\.\d+(?:\.\d+)?)";

model::Node scalar(std::string text) { return model::Node::make_scalar(std::move(text)); }

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

nlohmann::ordered_json json_of(const model::Node& node) {
  switch (node.kind) {
    case model::Node::Kind::kNull: return nullptr;
    case model::Node::Kind::kScalar: return node.scalar;
    case model::Node::Kind::kList: {
      auto list = nlohmann::ordered_json::array();
      for (const model::Node& item : node.list) list.push_back(json_of(item));
      return list;
    }
    case model::Node::Kind::kMap: break;
  }
  auto map = nlohmann::ordered_json::object();
  for (const auto& [key, value] : node.map) map[key] = json_of(value);
  return map;
}

class Collector {
 public:
  // `provenance`: sources are told of by BuildStream's source info.
  Collector(Build& build, bool provenance) : build_(build), provenance_(provenance) {}

  Status collect() {
    const auto& sources = build_.data().job.dependency_sources;
    if (sources.size() != build_.dependencies().size())
      return fail("job", "bad-job", "The job doesn't say of what sources its dependencies are");
    for (std::size_t i = 0; i < sources.size(); ++i)
      CHECK(add(build_.dependencies()[i], TRY(wire::unpack_sources(sources[i].bytes)).sources));
    return {};
  }

  const model::NodeList& modules() const { return modules_; }
  const model::NodeList& infos() const { return infos_; }

  Status warn(std::string_view token, const std::string& text) {
    const auto& element = build_.data().element;
    return build_.reporter().warn(element.fatal_warnings, fmt::format("{}:{}", element.kind, token),
                                  text);
  }

 private:
  Status add(const model::ArtifactRef& artifact, const std::vector<model::Source>& sources) {
    if (auto manifest = TRY(public_domain(build_.cas(), artifact, kManifest)))
      return take_over(artifact, *manifest);
    model::Node module = model::Node::make_map({{"name", scalar(artifact.element)}});
    module.set("x-cpe", TRY(cpe_of(artifact, sources)));
    if (!provenance_) {
      model::Node locations = model::Node::make_list();
      for (const model::Source& source : sources) {
        for (model::Node& location : TRY(sources::exports_of(source)).locations)
          locations.list.push_back(std::move(location));
      }
      module.set("sources", std::move(locations));
      modules_.push_back(std::move(module));
      infos_.emplace_back();
      return {};
    }
    model::Node infos = TRY(sources::source_info(sources, build_.ask_source()));
    model::Node locations = model::Node::make_list();
    for (const model::Node& info : infos.list) locations.list.push_back(TRY(location_of(info)));
    module.set("sources", std::move(locations));
    modules_.push_back(std::move(module));
    infos_.push_back(model::Node::make_map({{"name", scalar(model::normal_name(artifact.element))},
                                            {"project-name", scalar(artifact.project)},
                                            {"source-infos", std::move(infos)}}));
    return {};
  }

  // Takes over what a dependency has collected itself.
  Status take_over(const model::ArtifactRef& artifact, model::Node& manifest) {
    const auto list_of = [&](model::Node& domain, const char* key) -> Result<model::NodeList*> {
      model::Node* list = domain.find(key);
      if (list != nullptr && list->is_list()) return &list->list;
      return fail("load", "invalid-data",
                  fmt::format("The manifest of {} has no list '{}'", artifact.full_name, key));
    };
    model::NodeList& modules = *TRY(list_of(manifest, "modules"));
    const std::size_t count = modules.size();
    for (model::Node& module : modules) modules_.push_back(std::move(module));
    if (!provenance_) {
      infos_.resize(infos_.size() + count);
      return {};
    }
    auto domain = TRY(public_domain(build_.cas(), artifact, kInfos));
    if (!domain) {
      infos_.resize(infos_.size() + count);
      return warn(
          "legacy-manifest",
          fmt::format("Dependency \"{}\" from project \"{}\" doesn't use the source provenance API",
                      artifact.element, artifact.project));
    }
    model::NodeList& infos = *TRY(list_of(*domain, kInfosList));
    if (infos.size() != count) {
      return fail("load", "invalid-data",
                  fmt::format("The manifest of {} has {} modules, its source info {}",
                              artifact.full_name, count, infos.size()));
    }
    for (model::Node& info : infos) infos_.push_back(std::move(info));
    return {};
  }

  Result<model::Node> cpe_of(const model::ArtifactRef& artifact,
                             const std::vector<model::Source>& sources) {
    auto given = TRY(public_domain(build_.cas(), artifact, "cpe"));
    model::Node cpe = given ? std::move(*given) : model::Node::make_map();
    if (cpe.find("product") == nullptr)
      cpe.set("product", scalar(model::normal_name(last_name(artifact.element))));
    std::optional<std::string> pattern;
    if (const model::Node* match = cpe.find("version-match"); match != nullptr) {
      if (match->is_scalar()) pattern = match->scalar;
      std::erase_if(cpe.map, [](const auto& entry) { return entry.first == "version-match"; });
    }
    if (cpe.find("version") != nullptr || sources.empty()) return cpe;
    std::string version = TRY(version_in(sources, pattern.value_or(kVersionPattern)));
    if (!version.empty()) {
      cpe.set("version", scalar(std::move(version)));
    } else if (pattern) {
      return fail("element", "",
                  fmt::format("{}: {}: version match string \"{}\" did not match anything.",
                              build_.data().element.name, artifact.element, *pattern));
    } else {
      build_.reporter().message(Level::kWarn,
                                fmt::format("Missing version to {}.", artifact.element));
    }
    return cpe;
  }

  static Result<std::string> version_in(const std::vector<model::Source>& sources,
                                        const std::string& pattern) {
    for (const model::Source& source : sources) {
      for (const std::string& text : TRY(sources::exports_of(source)).versions) {
        std::string version = TRY(sources::match_version(text, pattern));
        if (!version.empty()) return version;
      }
    }
    return std::string();
  }

  // What the list says of a source of which BuildStream's source info is known; null of what it has
  // no words for.
  Result<model::Node> location_of(const model::Node& info) {
    const std::string medium = info.get_string("medium");
    const model::Node url = scalar(info.get_string("url"));
    if (medium == "git") {
      std::string commit = info.get_string("version");
      const model::Node* extra = info.find("extra-data");
      const model::Node* tag = extra != nullptr ? extra->find("tag-name") : nullptr;
      const model::Node* offset = extra != nullptr ? extra->find("commit-offset") : nullptr;
      if (tag != nullptr && offset != nullptr)
        commit = fmt::format("{}-{}-g{}", tag->scalar, offset->scalar, commit);
      return model::Node::make_map(
          {{"type", scalar("git")}, {"url", url}, {"commit", scalar(std::move(commit))}});
    }
    if (medium == "local") {
      const std::string kind = info.get_string("kind");
      const bool patch = kind == "patch" || kind == "patch_queue";
      return model::Node::make_map({{"type", scalar(patch ? "patch" : "dir")}, {"path", url}});
    }
    if (medium == "workspace") return model::Node::make_map({{"type", scalar("workspace")}});
    if (medium == "remote-file") {
      return model::Node::make_map({{"type", scalar("archive")},
                                    {"url", url},
                                    {"sha256", scalar(info.get_string("version"))}});
    }
    CHECK(
        warn("unsupported-source-info", fmt::format("Unsupported source info medium {}", medium)));
    return model::Node();
  }

  Build& build_;
  const bool provenance_;
  model::NodeList modules_;
  model::NodeList infos_;  // one for each module; null where there is no source info
};

Status write(Build& build, const std::string& path, const nlohmann::ordered_json& json) {
  store::Tree& tree = build.root().tree();
  const std::size_t slash = path.rfind('/');
  const std::string_view name = last_name(path);
  if (name.empty()) {
    return fail("virtual-fs", "bad-path", fmt::format("'{}' is no path of a file", path),
                build.data().body.provenance);
  }
  const auto make = [&](const std::string& directory) { return tree.make_directory(directory); };
  const std::string directory =
      TRY(store::walk_path("", slash == std::string::npos ? "" : path.substr(0, slash), make));
  return tree.put_file(fmt::format("{}/{}", directory, name),
                       TRY(build.cas().add(json.dump(2, ' ', true))), false);
}

Result<std::string> assemble(Build& build, bool provenance, bool spdx) {
  Collector collector(build, provenance);
  CHECK(collector.collect());
  model::Node manifest = model::Node::make_map(
      {{"//NOTE", scalar("This is a generated manifest from buildstream files "
                         "and not usable by flatpak-builder")},
       {"modules", model::Node::make_list(collector.modules())}});
  const std::string path = build.data().body.config.get_string("path");
  if (!path.empty() && spdx) {
    const auto warn = [&](const std::string& text) {
      return collector.warn("unsupported-source-info", text);
    };
    CHECK(write(build, path,
                TRY(spdx_document(build.data().body.config, collector.modules(), collector.infos(),
                                  warn))));
  } else if (!path.empty()) {
    CHECK(write(build, path, json_of(manifest)));
  }
  model::Node data = build.data().body.public_data;
  if (!data.is_map()) data = model::Node::make_map();
  data.set(kManifest, std::move(manifest));
  if (provenance) {
    data.set(kInfos,
             model::Node::make_map({{kInfosList, model::Node::make_list(collector.infos())}}));
  }
  build.artifact().set_public_data(std::move(data));
  return "/";
}

}  // namespace

Result<std::string> assemble_collect_manifest(Build& build) {
  const model::Node& config = build.data().body.config;
  return assemble(build, truth(config, "use-source-provenance", true),
                  config.get_string("output-type") == "spdx");
}

Result<std::string> assemble_collect_manifest_2_0(Build& build) {
  return assemble(build, false, false);
}

}  // namespace sluice::elements
