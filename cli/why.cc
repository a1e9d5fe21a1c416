// `why`: the chains of dependencies that bring an element in.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/graph.h"
#include "cli/load.h"

namespace sluice::cli {

namespace {

using model::ElementIndex;
using Chain = std::vector<ElementIndex>;
using Json = nlohmann::ordered_json;

struct Chains {
  std::vector<Chain> shown;
  std::size_t targets = 0;  // that need the element
  std::uint64_t total = 0;  // chains that could be shown
};

Chains find_chains(const Graph& graph, ElementIndex element, const WhyCommand& command) {
  const model::Snapshot& snapshot = graph.snapshot();
  const Scope scope = command.deps == "run"     ? Scope::kRun
                      : command.deps == "build" ? Scope::kBuild
                                                : Scope::kAll;
  Graph::ToElement to(graph, element, scope);
  Chains chains;
  std::vector<ElementIndex> from;
  std::vector<bool> seen(snapshot.elements.size());
  for (const ElementIndex target : snapshot.targets) {
    if (command.targets.empty() && !graph.dependents(target).empty()) continue;
    if (seen[target] || to.length(target) == Graph::kUnreached) continue;
    seen[target] = true;
    from.push_back(target);
  }
  std::stable_sort(from.begin(), from.end(),
                   [&](ElementIndex a, ElementIndex b) { return to.length(a) < to.length(b); });
  chains.targets = from.size();
  for (const ElementIndex target : from) {
    const std::uint64_t count = command.all ? to.count(target) : 1;
    chains.total = count > Graph::kMany - chains.total ? Graph::kMany : chains.total + count;
    const std::size_t room = command.limit - chains.shown.size();
    if (room == 0) continue;
    if (command.all) {
      to.all(target, room, chains.shown);
    } else {
      chains.shown.push_back(to.shortest(target));
    }
  }
  return chains;
}

const model::Dependency& dependency_between(const model::Snapshot& snapshot, ElementIndex from,
                                            ElementIndex to) {
  const auto& dependencies = snapshot.elements[from].dependencies;
  return *std::find_if(dependencies.begin(), dependencies.end(),
                       [&](const auto& each) { return each.element == to; });
}

std::string text_of(const model::Snapshot& snapshot, const Chains& chains) {
  std::string out;
  for (const Chain& chain : chains.shown) {
    if (!out.empty()) out += '\n';
    out += styled(snapshot.elements[chain.front()].full_name, {.color = "blue", .bold = 1}) + '\n';
    for (std::size_t i = 1; i < chain.size(); ++i) {
      out += fmt::format(
          "  {}  {}\n", styled(snapshot.elements[chain[i]].full_name, {.color = "blue", .bold = 1}),
          styled(
              fmt::format("[{}]", words_of(dependency_between(snapshot, chain[i - 1], chain[i]))),
              {.dim = 1}));
    }
  }
  if (chains.total > chains.shown.size()) {
    const std::uint64_t more = chains.total - chains.shown.size();
    out += chains.total == Graph::kMany
               ? "\nMore chains than can be counted; --limit shows more\n"
               : fmt::format("\n{} more chain{}; --limit shows more\n", more, more == 1 ? "" : "s");
  }
  return out;
}

std::string json_of(const model::Snapshot& snapshot, ElementIndex element, const Chains& chains) {
  Json json = {{"format", "sluice-why/1"},
               {"element", snapshot.elements[element].full_name},
               {"targets", chains.targets},
               {"total", chains.total == Graph::kMany ? Json(nullptr) : Json(chains.total)},
               {"chains", Json::array()}};
  for (const Chain& chain : chains.shown) {
    Json list = Json::array();
    for (std::size_t i = 0; i < chain.size(); ++i) {
      Json step = {{"name", snapshot.elements[chain[i]].full_name}};
      if (i > 0) {
        const auto& dependency = dependency_between(snapshot, chain[i - 1], chain[i]);
        step["build"] = dependency.build;
        step["runtime"] = dependency.runtime;
        step["strict"] = dependency.strict;
      }
      list.push_back(std::move(step));
    }
    json["chains"].push_back(std::move(list));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

int run_why(Invocation& invocation, const WhyCommand& command) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = command.targets;
  arguments.what.deps = "none";
  arguments.wanted.bodies = false;
  auto loaded = load_with_subprojects(invocation, arguments);
  if (!loaded) return kFailure;
  for (const auto& warning : loaded->snapshot.warnings) invocation.report.warning(warning);
  const Graph graph(loaded->snapshot);
  const auto element = graph.find(command.element);
  Chains chains;
  if (element) chains = find_chains(graph, *element, command);
  if (chains.shown.empty()) {
    if (!element) {
      // An element that isn't there at all is another error.
      arguments.what.targets = {command.element};
      if (!load_with_subprojects(invocation, arguments)) return kFailure;
    }
    const std::string_view how = command.deps == "run"     ? "at run time"
                                 : command.deps == "build" ? "to be built"
                                                           : "for anything";
    return failed(
        invocation,
        {"app", "not-needed", fmt::format("No target needs {} {}", command.element, how), {}, {}});
  }
  std::string report = command.json ? json_of(loaded->snapshot, *element, chains)
                                    : text_of(loaded->snapshot, chains);
  if (!invocation.colors && !command.json) report = without_codes(report);
  if (auto written = print(report); !written) return failed(invocation, written.error());
  return kSuccess;
}

}  // namespace sluice::cli
