#include "elements/filter.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/compose.h"

namespace sluice::elements {

namespace {

// The build dependency. The loader sees to it that there is exactly one.
Result<const model::ArtifactRef*> parent_of(const Build& build) {
  for (const model::ArtifactRef& artifact : build.dependencies()) {
    if (artifact.build) return &artifact;
  }
  return fail("element", "filter-bdepend-wrong-count",
              "A filter element must have exactly 1 build-dependency, actually has 0");
}

const model::Node* bst_of(const model::Node& public_data, std::string_view key) {
  const model::Node* bst = public_data.find("bst");
  return bst != nullptr ? bst->find(key) : nullptr;
}

std::string unknown_domains(const std::vector<std::string>& domains, const model::Node* rules,
                            std::string_view option) {
  std::string unknown;
  for (const std::string& domain : domains) {
    if (rules == nullptr || rules->find(domain) == nullptr) unknown += " - " + domain + "\n";
  }
  return unknown.empty() ? ""
                         : fmt::format("Unknown domains were used in '{}'\n{}", option, unknown);
}

}  // namespace

Status stage_filter(Build& build) {
  build.commands().show_environment();
  Reporter::Activity activity(build.reporter(), "Staging artifact");
  auto parent = TRY(parent_of(build));
  auto data = TRY(public_data_of(build.cas(), *parent));
  const model::Node& config = build.data().body.config;
  const SplitRules::Choice choice{config.get_strings("include"), config.get_strings("exclude"),
                                  truth(config, "include-orphans", false)};
  const model::Node* rules = bst_of(data, "split-rules");
  std::string detail = unknown_domains(choice.include, rules, "include") +
                       unknown_domains(choice.exclude, rules, "exclude");
  if (!detail.empty()) {
    detail.pop_back();
    return fail("element", "", "Unknown domains declared.", {}, detail);
  }
  auto paths = TRY(manifest_of(build.cas(), *parent, choice));
  const std::unordered_set<std::string> chosen(std::make_move_iterator(paths.begin()),
                                               std::make_move_iterator(paths.end()));
  if (!parent->files.empty()) {
    const auto is_chosen = [&](std::string_view path) {
      return chosen.contains(std::string(path));
    };
    CHECK(build.root().tree().merge(parent->files, "/", is_chosen));
  }
  activity.success();
  return {};
}

Result<std::string> assemble_filter(Build& build) {
  if (!truth(build.data().body.config, "pass-integration", false)) return "/";
  auto parent = TRY(parent_of(build));
  auto data = TRY(public_data_of(build.cas(), *parent));
  constexpr std::string_view kCommands = "integration-commands";
  model::NodeList commands;
  model::Node own = build.data().body.public_data;
  for (const model::Node* from : {bst_of(data, kCommands), bst_of(own, kCommands)}) {
    if (from != nullptr && from->is_list())
      commands.insert(commands.end(), from->list.begin(), from->list.end());
  }
  if (own.find("bst") == nullptr) own.set("bst", model::Node::make_map());
  own.find("bst")->set(std::string(kCommands), model::Node::make_list(std::move(commands)));
  build.artifact().set_public_data(std::move(own));
  return "/";
}

}  // namespace sluice::elements
