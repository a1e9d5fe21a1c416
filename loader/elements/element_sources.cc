// The sources of an element: their configuration, refs and keys; or the workspace in
// their place (buildstream/element.py, __load_sources; source.py).
#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "base/try.h"
#include "loader/elements/element.h"
#include "loader/elements/variables.h"
#include "loader/project/plugins.h"
#include "loader/project/source_project.h"
#include "loader/yaml.h"
#include "model/source_kinds.h"
#include "project/lookups.h"
#include "yaml/json.h"

namespace sluice::loader {

Status ElementResolver::resolve_sources(const LoadElement& element, Variables& variables,
                                        ResolvedElement& result, std::string& json) {
  json = "[";
  bool all_local = true;
  const auto add = [&](model::Source source, const std::string& key, bool supported) {
    all_local = all_local && model::traits(source).imported;
    if (supported) result.sources_resolved = result.sources_resolved && !key.empty();
    json += result.has_sources ? ",{" : "{";
    if (!source.directory.empty()) {
      json += "\"directory\":";
      json_string(json, source.directory);
      json += ',';
    }
    json += "\"key\":" + key + ",\"name\":";
    json_string(json, source.kind);
    json += '}';
    result.body->sources.push_back(std::move(source));
    result.has_sources = true;
  };
  if (const Workspace* workspace = workspace_of(element)) {
    model::Source source;
    std::string key;
    element.project->lookups().exists(
        workspace->path);  // noted as a lookup: without a directory there is no digest
    CHECK(resolve_workspace(*workspace, source, key));
    add(std::move(source), key, true);
  } else if (Node* sources = TRY(find_list(*element.node, "sources"))) {
    for (std::size_t i = 0; i < sources->items().size(); ++i) {
      model::Source source;
      std::string key;
      const SourcePlugin* plugin = nullptr;
      Node& node = *sources->items()[i];
      CHECK(said_by("source", source.kind, node.mark,
                    resolve_source(element, i, node, variables, source, key, plugin)));
      if (i == 0)
        result.misplaced_source =
            plugin->row.key != nullptr ? plugin->row.needs_previous : source.plugin.reads_previous;
      const bool supported = plugin->unsupported.empty();
      if (!supported)
        result.add_obstacle(model::Obstacle::To::kKey, plugin->unsupported, source.provenance);
      if (supported && !plugin->unfetched.empty())
        result.add_obstacle(model::Obstacle::To::kFetch, plugin->unfetched, source.provenance);
      result.sources_supported = result.sources_supported && supported;
      add(std::move(source), key, supported);
    }
  }
  result.sources_local = all_local && result.has_sources;
  json += ']';
  return {};
}

Status ElementResolver::resolve_workspace(const Workspace& workspace, model::Source& source,
                                          std::string& key) const {
  source.kind = model::kWorkspaceKind;
  source.path = workspace.path;
  source.config =
      model::Node::make_map({{"path", model::Node::make_scalar(workspace.path)},
                             {"last_build", model::Node::make_scalar(workspace.last_build)}});
  if (!path_exists(workspace.path)) return {};
  const std::lock_guard lock(common_->one);
  source.local_digest = TRY(digest_workspace_(workspace.path));
  json_string(key, source.local_digest.hash);
  source.key = sha256_hex(key);
  return {};
}

// Puts the ref that project.refs or junction.refs has in place of what the element says. A project
// with its refs in files has none in elements, and the toplevel's files stand above what
// subprojects say (buildstream/source.py, _load_ref).
Result<std::optional<PluginAsker::Stored>> ElementResolver::load_ref(
    const LoadElement& element, std::size_t index, Mark mark,
    std::span<const std::string_view> keys, bool plugin, Node& config) {
  const Project& project = *element.project;
  const Project& toplevel = project.toplevel();
  const auto refs_of = [&](const Project& owner) -> const ProjectRefs& {
    return element.kind == "junction" ? owner.junction_refs : owner.refs;
  };
  using Stored = PluginAsker::Stored;
  const auto take = [&](const Node& from) {
    for (std::string_view key : keys) {
      const Node* ref = from.find(key);
      if (ref == nullptr) {
        config.remove(key);
      } else {
        config.set(arena_, key, clone(arena_, *ref));
      }
    }
    if (!plugin) return;
    for (const Entry& entry : from.entries())
      config.set(arena_, entry.key, clone(arena_, *entry.value));
  };
  std::optional<Stored> stored;
  if (toplevel.refs_in_files) stored.emplace();
  if (&project != &toplevel && toplevel.refs_in_files) {
    if (const Node* ref = TRY(refs_of(toplevel).find(project.name, element.name, index))) {
      take(*ref);
      stored->node = ref;
      return stored;
    }
  }
  if (!project.refs_in_files) return stored;
  if (!stored) stored.emplace();
  stored->clear = true;
  if (const Node* given = keys.empty() ? nullptr : config.find("ref")) {
    // A plugin says itself what of its configuration is a ref.
    if (!plugin)
      redundant_refs_.emplace_back(
          position_,
          fmt::format("{}:{}", provenance(mark).str(), given->is_scalar() ? given->text : "..."));
    for (std::string_view key : keys) config.remove(key);
  }
  if (const Node* ref = TRY(refs_of(project).find(project.name, element.name, index))) {
    take(*ref);
    stored->node = ref;
  }
  return stored;
}

namespace {

// Finds the way to the node of that kind which stands at a place of its file.
bool find_path(const Node& node, const Mark& mark, Kind kind, std::vector<std::string>& path) {
  if (node.mark.line == mark.line && node.mark.column == mark.column && node.kind == kind)
    return true;
  for (const Entry& entry : node.entries()) {
    path.push_back("k" + std::string(entry.key));
    if (find_path(*entry.value, mark, kind, path)) return true;
    path.pop_back();
  }
  for (std::size_t i = 0; i < node.items().size(); ++i) {
    path.push_back(fmt::format("i{}", i));
    if (find_path(*node.items()[i], mark, kind, path)) return true;
    path.pop_back();
  }
  return false;
}

}  // namespace

// The place where BuildStream writes what tracking finds (source.py, _set_ref).
Result<model::RefPlace> ElementResolver::ref_place(const LoadElement& element, std::size_t index,
                                                   const Node& node, std::string_view key) {
  const Project& project = *element.project;
  const Project& toplevel = project.toplevel();
  Lookups& lookups = project.lookups();
  model::RefPlace place;
  if (toplevel.refs_in_files) {
    place.file =
        toplevel.directory + (element.kind == "junction" ? "/junction.refs" : "/project.refs");
    place.path = {"kprojects", "k" + project.name, "k" + element.name, fmt::format("i{}", index),
                  fmt::format("k{}", key)};
    if (!lookups.exists(place.file)) return place;
    TRY(lookups.read(arena_, place.file, &place.hash));
    return place;
  }
  const Node* ref = node.find(key);
  const Node& at = ref != nullptr ? *ref : node;
  if (at.mark.synthetic()) {
    place.problem = "Error saving source reference to synthetic node.";
  } else if (at.mark.file->display.find(':') != std::string::npos) {
    place.problem = &project == &toplevel
                        ? fmt::format("{}: Cannot track source in a fragment from a junction",
                                      at.mark.file->display)
                        : "Not persisting new reference in junctioned project";
  }
  if (!place.problem.empty()) return place;
  // Marks in elements' own files have no path, for these are known by their names.
  place.file =
      at.mark.file->path.empty() ? join(project.element_path, element.name) : at.mark.file->path;
  const std::string_view text = TRY(lookups.read(arena_, place.file, &place.hash));
  const File file{place.file, at.mark.file->display};
  const Node* root = TRY(parse_yaml_in_place(arena_, file, text));
  if (!find_path(*root, at.mark, at.kind, place.path))
    place.problem = "Error saving source reference: its place isn't found.";
  if (ref == nullptr) place.path.push_back(fmt::format("k{}", key));
  return place;
}

Result<const PluginAnswer*> ElementResolver::ask(const LoadElement& element, std::size_t index,
                                                 const Mark& mark, const SourcePlugin& plugin,
                                                 const Asked& asked, model::Source& source) {
  PluginAsker& asker = *common_->asker;
  Project& project = *element.project;
  const bool work_only = plugin.row.key != nullptr;
  PluginQuestion question{PluginType::kSource, &project, element.first_pass, source.kind,
                          &*plugin.module,     {},       provenance(mark)};
  question.packed =
      PluginAsker::pack(*plugin.module, {source.kind, element.full_name(), index, source.directory,
                                         asker.mirror_directory(source.kind), mark, asked.config,
                                         asked.provenance, asked.stored});
  source.plugin.question = question.packed;
  source.plugin.readable = PluginAsker::readable(project, element.first_pass, &*plugin.module);
  source.plugin.reads_previous = plugin.row.needs_previous;
  source.plugin.changes_previous = model::source_traits(source.kind).changes_previous;
  if (work_only) return nullptr;
  if (!collecting_) return asker.ask(question);
  asker.collect(std::move(question));
  return nullptr;
}

// What a plugin says of a source becomes what a kind here says of it.
Status ElementResolver::take_answer(const PluginAnswer& answer, sources::Instance& instance,
                                    std::string& key) {
  model::Source& source = instance.source;
  if (answer.error) {
    Error error = *answer.error;
    if (!error.provenance.known()) error.provenance = source.provenance;
    return tl::unexpected<Error>(std::move(error));
  }
  for (const PluginAnswer::Warning& warning : answer.warnings)
    CHECK(instance.project.warn(warning.name, warning.text, warning.detail));
  for (const PluginAnswer::Url& url : answer.urls) {
    const bool first = source.original_url.empty() && url.primary;
    CHECK(first ? mark_url(instance, url.url) : mark_further_url(instance, url.url));
  }
  source.ref = answer.ref;
  // What is fetched by what others have staged is put on top of that, and isn't kept alone.
  const bool fetched_by_previous = answer.has("BST_REQUIRES_PREVIOUS_SOURCES_FETCH");
  source.plugin.changes_previous =
      fetched_by_previous || answer.has("BST_REQUIRES_PREVIOUS_SOURCES_STAGE");
  source.plugin.reads_previous =
      fetched_by_previous || answer.has("BST_REQUIRES_PREVIOUS_SOURCES_TRACK");
  if (answer.resolved) key = answer.key;
  return {};
}

Result<const ElementResolver::SourcePlugin*> ElementResolver::source_plugin(Project& project,
                                                                            const std::string& kind,
                                                                            const Mark& mark) {
  const auto found = common_->sources.find({&project, kind});
  if (found != common_->sources.end()) return found->second.get();
  const auto files = TRY(locate_plugin(project, PluginType::kSource, kind));
  auto source = std::make_unique<SourcePlugin>();
  if (!files || files->python.empty()) {
    const sources::KeyRow* row = sources::find_key(kind);
    if (row == nullptr || (!files && row->package != sources::Package::kCore)) {
      return fail("plugin", "plugin-not-found",
                  fmt::format("No source plugin registered for kind '{}'", kind), provenance(mark));
    }
    source->row = *row;
    if (!model::source_traits(kind).fetched) {
      source->unfetched = fmt::format(
          "Sources of kind '{}' can't be fetched without their plugin, which isn't installed",
          kind);
    }
  } else {
    const PluginClass plugin = TRY(read_plugin(project, PluginType::kSource, kind, *files, mark));
    source->deprecated = deprecation(project, PluginType::kSource, kind, plugin);
    std::string key = plugin.fingerprint("get_unique_key");
    // A class that has its key from a module beside it may add to it.
    if (key.empty()) key = plugin.fingerprint("get_extra_unique_key");
    const auto known =
        sources::recognise({kind, files->python, std::move(key),
                            TRY(plugin_fingerprint(project.lookups(), files->python))});
    if (known.row != nullptr) {
      source->row = *known.row;
      // The name "unknown" is that of no way of doing a kind's work, so that nobody takes another's
      // for it.
      source->works_as = known.work ? known.way : "unknown";
      if (!known.work && common_->asker != nullptr) {
        source->module = module_of(project.lookups(), *files);
      } else if (!known.work || !model::source_traits(kind).fetched) {
        source->unfetched = fmt::format(
            "Sources of kind '{}' can't be fetched: how {} ({}) does it is only said in Python",
            kind, files->python, files->display);
      }
    } else {
      if (common_->asker != nullptr) {
        source->module = module_of(project.lookups(), *files);
      } else {
        source->unsupported = not_supported(PluginType::kSource, kind, *files);
      }
      source->row.kind = project.arena.copy(kind);
      source->row.custom_provenance = plugin.flag("BST_CUSTOM_SOURCE_PROVENANCE");
      source->row.needs_previous = plugin.flag("BST_REQUIRES_PREVIOUS_SOURCES_TRACK") ||
                                   plugin.flag("BST_REQUIRES_PREVIOUS_SOURCES_FETCH");
    }
  }
  common_->plugins[&project].sources.emplace_back(kind, files ? files->display : "core plugin");
  return common_->sources.emplace(std::pair(&project, kind), std::move(source)).first->second.get();
}

Status ElementResolver::resolve_source(const LoadElement& element, std::size_t index, Node& node,
                                       Variables& variables, model::Source& source,
                                       std::string& key, const SourcePlugin*& plugin) {
  Project& project = *element.project;
  if (!node.is_map()) return invalid_data(node, "Source is not specified as a dictionary");
  const Node& kind_node = *TRY(get_scalar(node, "kind"));
  const std::string kind_name(kind_node.text);
  if (kind_name == model::kWorkspaceKind)
    return invalid_data(kind_node, "Invalid usage of workspace source kind");
  const Mark mark = node.mark;
  source.kind = kind_name;
  const std::string directory(TRY(get_string(node, "directory", "")));
  Node* own = clone(arena_, node);
  own->remove("kind");
  if (!directory.empty()) own->remove("directory");
  const Node* told = nullptr;  // as it is written: variables aren't replaced in it
  if (const Node* attributes = TRY(find_map(node, "provenance"))) {
    own->remove("provenance");
    CHECK(project.check_provenance(*attributes));
    told = attributes;
  }

  plugin = TRY(source_plugin(project, kind_name, mark));
  const sources::KeyRow& row = plugin->row;
  if (plugin->module) source.plugin.file = plugin->module->file;
  const model::SourceTraits& traits = model::traits(source);
  if (!plugin->deprecated.empty())
    warnings_.emplace_back(position_,
                           fmt::format("{}: {}", provenance(mark).str(), plugin->deprecated));
  if (row.custom_provenance && node.contains("provenance")) {
    return fail("source", "top-level-provenance-on-custom-implementation",
                "Custom source provenance plugin: Refusing to use top level source provenance",
                provenance(mark));
  }
  Node* config = make_map(arena_);
  if (const Node* all = project.pass(element.first_pass).source_overrides) {
    const Node* overrides = TRY(find_map(*all, kind_name));
    const Node* preset = overrides != nullptr ? TRY(find_map(*overrides, "config")) : nullptr;
    if (preset != nullptr) config = clone(arena_, *preset);
  }
  CHECK(compose(arena_, *own, *config));
  CHECK(assert_composited(*config));
  CHECK(variables.expand(*config));
  const bool inline_ref = config->contains("ref");
  // Which keys say the ref of a plugin's source, only the plugin knows: it gets both, what the
  // element says and what is kept elsewhere, and everybody else what comes of it.
  const bool only_python = plugin->module && row.key == nullptr;
  const Node* own_config = plugin->module ? clone(arena_, *config) : nullptr;
  const auto stored = TRY(load_ref(element, index, mark, traits.keys(), only_python, *config));

  source.directory = directory;
  source.works_as = plugin->works_as;
  source.provenance = provenance(mark);
  source.config = to_model(*config);
  if (told != nullptr) source.config.set("provenance", to_model(*told));
  const bool places = common_->bodies.ref_places;
  if (places) {
    for (std::string_view name : traits.keys())
      source.ref_places.push_back(TRY(ref_place(element, index, *own, name)));
    if (plugin->module && !project.toplevel().refs_in_files && !traits.keys().empty()) {
      // A plugin may write any key. Those beside its ref are found by that; others have a place of
      // their own.
      const Node* ref = own->find(traits.keys().front());
      const File* beside = ref != nullptr ? ref->mark.file : own->mark.file;
      for (const Entry& entry : own->entries()) {
        if (entry.value->mark.file != beside)
          source.ref_places.push_back(TRY(ref_place(element, index, *own, entry.key)));
      }
    }
  }
  const PluginAnswer* answer = nullptr;
  if (plugin->module) {
    answer = TRY(ask(element, index, mark, *plugin, {*own_config, told, stored}, source));
    if (collecting_) return {};
    if (answer != nullptr && answer->redundant.kind != model::Node::Kind::kNull) {
      const model::Node& ref = answer->redundant;
      redundant_refs_.emplace_back(
          position_, fmt::format("{}:{}", provenance(mark).str(),
                                 ref.kind == model::Node::Kind::kScalar ? ref.scalar : "..."));
    }
  }
  if (row.key == nullptr && answer == nullptr) return {};
  std::vector<std::string> warnings;
  SourceProject view(project, kind_name, mark, element.first_pass, warnings);
  sources::Instance instance{view, *config, mark, source, inline_ref};
  if (row.key != nullptr) {
    CHECK(row.key(instance, key));
  } else {
    CHECK(take_answer(*answer, instance, key));
  }
  for (std::string& warning : warnings) warnings_.emplace_back(position_, std::move(warning));
  if (places && !source.original_url.empty()) {
    source.track_urls = TRY(project.download_urls(source.original_url, element.first_pass, true));
    // BuildStream tracks from the last one first.
    std::reverse(source.track_urls.begin(), source.track_urls.end());
  }
  // What a plugin's host is told of the project; of a kind that is none it is told by what tries
  // URLs at mirrors that are.
  if (plugin->module || PluginAsker::has_mirror_url(source)) {
    source.plugin.project = PluginAsker::pack_project(
        project, element.first_pass, PluginAsker::aliases_of(project, element.first_pass, source),
        provenance(mark));
    if (!plugin->module)
      source.plugin.readable = PluginAsker::readable(project, element.first_pass, nullptr);
  }
  // A plugin that has the name of such a kind has a key of its own.
  if (row.key != nullptr && model::source_traits(kind_name).imported) {
    auto digest = digest_local_(source.path);
    if (!digest) {
      if (!digest.error().provenance.known()) digest.error().provenance = source.provenance;
      return forward(digest);
    }
    source.local_digest = std::move(*digest);
    json_string(key, source.local_digest.hash);
  }
  if (!key.empty()) source.key = sha256_hex(key);
  return {};
}

}  // namespace sluice::loader
