#include "elements/split_rules.h"

#include <algorithm>
#include <string_view>

#include "base/try.h"
#include "elements/staging.h"
#include "store/tree.h"

namespace sluice::elements {

namespace {

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

SplitRules::SplitRules(const model::Node& public_data) {
  const model::Node* bst = public_data.find("bst");
  const model::Node* rules = bst != nullptr ? bst->find("split-rules") : nullptr;
  if (rules == nullptr || !rules->is_map()) return;
  for (const auto& [domain, patterns] : rules->map)
    domains_.emplace_back(domain, GlobSet(rules->get_strings(domain)));
}

bool SplitRules::selects(const std::string& path, const Choice& choice) const {
  const std::string absolute = "/" + path;
  bool included = false, excluded = false, claimed = false;
  // Of an element that has none of the domains to include, BuildStream includes nothing.
  const bool all = choice.include.empty();
  for (const auto& [domain, globs] : domains_) {
    if (!globs.matches(absolute)) continue;
    claimed = true;
    if (all || contains(choice.include, domain)) included = true;
    if (contains(choice.exclude, domain)) excluded = true;
  }
  if (choice.orphans && !claimed) included = true;
  return included && !excluded;
}

Result<std::vector<std::string>> manifest_of(const store::Cas& cas,
                                             const model::ArtifactRef& artifact,
                                             const SplitRules::Choice& choice) {
  if (artifact.files.empty()) return std::vector<std::string>{};
  auto tree = TRY(store::Tree::open(cas, artifact.files));
  auto paths = TRY(tree.list());
  if (choice.everything()) return paths;
  auto data = TRY(public_data_of(cas, artifact));
  const SplitRules rules(data);
  std::vector<std::string> selected;
  for (std::string& path : paths) {
    if (rules.selects(path, choice)) selected.push_back(std::move(path));
  }
  return selected;
}

}  // namespace sluice::elements
