// `query`: elements by what they depend on and what depends on them (query_language.h).
#include <fmt/format.h>

#include "base/fd.h"
#include "cli/elements.h"
#include "cli/graph.h"
#include "cli/query_language.h"

namespace sluice::cli {

namespace {

using model::ElementIndex;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string dot_of(const LoadedProject& loaded, const std::vector<bool>& members) {
  const auto& elements = loaded.snapshot.elements;
  std::string out = "digraph elements {\n";
  for (const ElementIndex index : loaded.selection) {
    const std::string name = quoted(elements[index].full_name);
    out += fmt::format("  {};\n", name);
    for (const auto& dependency : elements[index].dependencies) {
      if (!members[dependency.element]) continue;
      // A solid line: needed to build; a dashed one: only at run time.
      out += fmt::format("  {} -> {}{};\n", name, quoted(elements[dependency.element].full_name),
                         dependency.build ? "" : " [style=dashed]");
    }
  }
  return out + "}\n";
}

// What a query names beyond the universe is loaded besides.
std::optional<LoadedProject> load_for(Invocation& invocation, const Query& query,
                                      wire::LoadArguments arguments, bool explicit_universe) {
  if (!explicit_universe && !query.asks_universe()) arguments.what.targets = query.names();
  auto loaded = load_with_subprojects(invocation, arguments);
  if (!loaded) return std::nullopt;
  const Graph graph(loaded->snapshot);
  std::vector<std::string> missing;
  for (const auto& name : query.names()) {
    if (!graph.find(name)) missing.push_back(name);
  }
  if (missing.empty()) return loaded;
  arguments.what.targets.clear();
  for (const ElementIndex target : loaded->snapshot.targets)
    arguments.what.targets.push_back(loaded->snapshot.elements[target].full_name);
  arguments.what.targets.insert(arguments.what.targets.end(), missing.begin(), missing.end());
  return load_with_subprojects(invocation, arguments);
}

}  // namespace

int run_query(Invocation& invocation, const QueryCommand& command) {
  auto query = parse_query(command.query);
  if (!query) return failed(invocation, query.error());
  const ElementOutput output{command.format, command.json, command.fields, command.order};
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = command.universe;
  arguments.what.deps = "none";
  auto bodies = output.needs_bodies();
  if (!bodies) return failed(invocation, bodies.error());
  arguments.wanted.bodies = *bodies && !command.dot;
  auto loaded = load_for(invocation, *query, std::move(arguments), !command.universe.empty());
  if (!loaded) return kFailure;
  for (const auto& warning : loaded->snapshot.warnings) invocation.report.warning(warning);

  const Graph graph(loaded->snapshot);
  auto members = answer_query(*query, graph);
  if (!members) return failed(invocation, members.error());
  loaded->selection.clear();
  for (std::size_t i = 0; i < members->size(); ++i) {
    if ((*members)[i]) loaded->selection.push_back(static_cast<ElementIndex>(i));
  }
  if (command.dot) {
    if (auto written = print(dot_of(*loaded, *members)); !written)
      return failed(invocation, written.error());
    return kSuccess;
  }
  // An empty answer prints no line, and is no failure.
  if (loaded->selection.empty() && !command.json) return kSuccess;
  return print_elements(invocation, *loaded, output);
}

}  // namespace sluice::cli
