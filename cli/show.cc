// `show`: the pipeline as text, byte for byte what bst 2.8.1 prints on its standard output.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/try.h"
#include "cli/command_surroundings.h"
#include "cli/elements.h"
#include "cli/format.h"
#include "model/impediments.h"
#include "model/source_kinds.h"
#include "model/states.h"
#include "sources/info.h"
#include "sources/plugin/plugin.h"
#include "wire/snapshot.h"
#include "yaml/dump.h"

namespace sluice::cli {

namespace {

using model::Element;
using model::ElementIndex;

// What a format asks for, found out before anything expensive is done.
struct Needs {
  bool state = false;  // or a key: these come with a look into the cache
  bool body = false;
};

Needs needs_of(std::string_view format) {
  Needs needs;
  for (const char* symbol : {"state", "artifact-cas-digest"})
    needs.state = needs.state || mentions(format, symbol);
  // The state may depend on what an element's sources are.
  needs.body = needs.state;
  for (const char* symbol : {"description", "config", "vars", "env", "public", "source-info",
                             "workspaced", "workspace-dirs"}) {
    needs.body = needs.body || mentions(format, symbol);
  }
  return needs;
}

// Python's str.splitlines(), joined by spaces.
std::string single_line(std::string_view text) {
  std::string out;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  for (const char c : text) out += c == '\n' ? ' ' : c;
  return out;
}

std::string without_end(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Style style_of(model::ElementState state) {
  switch (model::tone_of(state)) {
    case model::Tone::kBad: return {.color = "red"};
    case model::Tone::kDone: return {.color = "magenta"};
    case model::Tone::kReady: return {.color = "green"};
    case model::Tone::kPending: break;
  }
  return {.color = "blue"};
}

class Shower {
 public:
  Shower(Invocation& invocation, const LoadedProject& loaded, std::string format, States* states)
      : invocation_(invocation), snapshot_(loaded.snapshot), format_(std::move(format)),
        needs_(needs_of(format_)), states_(states) {}

  Result<std::string> line(ElementIndex index) {
    const Element& element = snapshot_.elements[index];
    model::ElementBody body;
    if (needs_.body) {
      body = TRY(wire::unpack_body(element.body));
    }
    line_ = format_;
    const std::string full = element.keys.full.empty() ? std::string(64, '?') : element.keys.full;
    const Style key_style{
        .color = "yellow",
        .dim = element.keys.full.empty() || element.keys.full != element.keys.strict};
    put("name", element.full_name, {.color = "blue", .bold = 1});
    put("kind", element.kind, {.color = "cyan"});
    put("key", std::string_view(full).substr(0, snapshot_.settings.key_length), key_style);
    put("full-key", full, key_style);
    put("description", single_line(body.description), key_style);
    if (mentions(format_, "state")) {
      auto state = states_->state(index);
      if (!state) {
        state.error().message = fmt::format("Failed to determine state for {}: {}",
                                            element.full_name, state.error().message);
        return forward(state);
      }
      put("state", text_of(*state), style_of(*state));
    }
    if (mentions(format_, "config")) put("config", yaml::dump(body.config), {});
    if (mentions(format_, "vars")) put("vars", yaml::dump(body.variables), {});
    if (mentions(format_, "env"))
      put("env",
          body.nested_environment.is_map() ? yaml::dump(model::environment_node(body))
                                           : yaml::dump(body.environment),
          {});
    if (mentions(format_, "public")) put("public", yaml::dump(body.public_data), {});
    const bool workspaced = model::has_workspace(body);
    put("workspaced", workspaced ? "(workspaced)" : "", {.color = "yellow"});
    put("workspace-dirs", workspaced ? "Workspace: " + body.sources[0].path : "", {});
    if (mentions(format_, "deps")) put("deps", names(element, true, true), {});
    if (mentions(format_, "build-deps")) put("build-deps", names(element, true, false), {});
    if (mentions(format_, "runtime-deps")) put("runtime-deps", names(element, false, true), {});
    if (mentions(format_, "artifact-cas-digest")) put_digest(index);
    if (mentions(format_, "source-info")) {
      auto info = TRY(sources::source_info(body.sources, [&](const model::Source& source) {
        return sources::plugin::info(source, surroundings(element.project));
      }));
      put("source-info", yaml::dump(info), {});
    }
    if (!status_) return forward(status_);
    return std::move(line_);
  }

 private:
  void put(std::string_view symbol, std::string_view value, const Style& style) {
    if (status_) status_ = substitute(line_, symbol, value, style);
  }

  std::string names(const Element& element, bool build, bool runtime) {
    // What it is built with comes first, and each once.
    std::vector<std::string> list;
    for (const auto& dependency : element.dependencies) {
      if (build && dependency.build)
        list.push_back(snapshot_.elements[dependency.element].full_name);
    }
    for (const auto& dependency : element.dependencies) {
      if (runtime && dependency.runtime && !(build && dependency.build))
        list.push_back(snapshot_.elements[dependency.element].full_name);
    }
    return without_end(yaml::dump(list));
  }

  void put_digest(ElementIndex index) {
    auto artifact = states_->artifact(index);
    if (!artifact) {
      status_ = forward(artifact);
    } else if (*artifact == nullptr) {
      put("artifact-cas-digest", "", {});
      invocation_.report.warning(snapshot_.elements[index].full_name +
                                 ": Cannot obtain CAS digest because artifact is not cached");
    } else {
      // A failure may have no files at all.
      const model::Digest files =
          (*artifact)->files.empty() ? store::empty_digest() : (*artifact)->files;
      put("artifact-cas-digest", fmt::format("{}/{}", files.hash, files.size), {});
    }
  }

  // Where plugins in Python are asked, for all elements of a project.
  CommandSurroundings& surroundings(std::size_t project) {
    auto& of_project = surroundings_[project];
    if (of_project == nullptr)
      of_project = std::make_unique<CommandSurroundings>(&invocation_.report, snapshot_.settings,
                                                         snapshot_.projects[project].fatal_warnings,
                                                         nullptr);
    return *of_project;
  }

  Invocation& invocation_;
  const model::Snapshot& snapshot_;
  std::map<std::size_t, std::unique_ptr<CommandSurroundings>> surroundings_;
  const std::string format_;
  const Needs needs_;
  States* states_;
  std::string line_;
  Status status_;
};

}  // namespace

Result<bool> ElementOutput::needs_bodies() const {
  // the default format, which only the loader knows, asks for the state
  if (!json) return format.empty() || needs_of(format).body;
  auto chosen = TRY(JsonFields::parse(fields.empty() ? JsonFields::kDefault : fields));
  return chosen.needs_body();
}

int print_elements(Invocation& invocation, LoadedProject& loaded, const ElementOutput& output) {
  const std::string& format =
      output.format.empty() ? loaded.snapshot.settings.element_format : output.format;
  JsonFields fields;
  if (output.json) {
    auto chosen = JsonFields::parse(output.fields.empty() ? JsonFields::kDefault : output.fields);
    if (!chosen) return failed(invocation, chosen.error());
    fields = *chosen;
  }
  std::unique_ptr<States> states;
  if (output.json ? fields.needs_state() : needs_of(format).state) {
    auto opened = States::open(loaded.snapshot);
    if (!opened) return failed(invocation, opened.error());
    states = std::move(*opened);
  }
  auto& selection = loaded.selection;
  if (output.order == "alpha") {
    std::stable_sort(selection.begin(), selection.end(), [&](ElementIndex a, ElementIndex b) {
      return loaded.snapshot.elements[a].name < loaded.snapshot.elements[b].name;
    });
  }
  std::string report;
  if (output.json) {
    auto json = elements_as_json(loaded, fields, states.get());
    if (!json) return failed(invocation, json.error());
    report = std::move(*json);
  } else {
    Shower shower(invocation, loaded, format, states.get());
    for (const ElementIndex element : selection) {
      auto line = shower.line(element);
      if (!line) return failed(invocation, line.error());
      report += *line + "\n";
    }
    // The codes go after the newlines at the end, which they can hide.
    report = without_end(std::move(report)) + "\n";
    if (!invocation.colors) report = without_codes(report);
  }
  if (states) states->save();
  if (auto written = print(report); !written) return failed(invocation, written.error());
  return kSuccess;
}

namespace {

// Warns of what can be shown and no more, all at once: each with the place of the first that asks
// for it.
void warn_of_obstacles(Invocation& invocation, const model::Snapshot& snapshot) {
  const auto all = [](auto&&...) { return true; };
  for (const model::Impediment& one :
       model::find_impediments(snapshot.elements, all, all, true).found) {
    invocation.report.warning(
        fmt::format("{}\n    It is so of {}.", one.first->str(), one.count_text()));
  }
}

}  // namespace

int run_show(Invocation& invocation, const ShowCommand& command) {
  const ElementOutput output{command.format, command.json, command.fields, command.order};
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = command.targets;
  arguments.what.except = command.except;
  arguments.what.deps = command.deps;
  auto bodies = output.needs_bodies();
  if (!bodies) return failed(invocation, bodies.error());
  arguments.wanted.bodies = *bodies;
  auto loaded = load_with_subprojects(invocation, arguments);
  if (!loaded) return kFailure;
  for (const auto& warning : loaded->snapshot.warnings) invocation.report.warning(warning);
  warn_of_obstacles(invocation, loaded->snapshot);
  return print_elements(invocation, *loaded, output);
}

}  // namespace sluice::cli
