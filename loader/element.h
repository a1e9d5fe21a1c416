// From a file's tree to an element with everything resolved: defaults of its kind,
// the project's overrides and its own words composed, variables expanded, sources and
// configuration checked (buildstream/element.py, __initialize_from_yaml and
// __load_sources). What an element is depends on no other element; its key does, see keys.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/graph.h"
#include "loader/kinds.h"
#include "loader/project.h"
#include "model/model.h"

namespace sluice::loader {

// An element but for its key.
struct ResolvedElement {
  model::ElementBody body;
  const ElementKind* kind = nullptr;
  bool has_sources = false;
  bool sources_resolved = true;
  bool sources_local = false;
  std::string sources_key;
  // The JSON of the key's dictionary from behind the list of dependencies to before the
  // closing brace; empty while a source has no ref.
  std::string key_tail;
  std::vector<LoadIndex> build;    // direct dependencies, in order
  std::vector<LoadIndex> runtime;
  std::vector<LoadIndex> strict;
  // `config` of dependencies, by the dependency.
  std::vector<std::pair<LoadIndex, model::Node>> dependency_configs;
};

// The digest of a directory, or of a directory that holds just the named file.
using DigestLocal = std::function<Result<model::Digest>(const std::string& absolute_path)>;

class ElementResolver {
 public:
  // `project`, `platform` and `digest_local` must outlive this.
  ElementResolver(Project& project, const Platform& platform, const DigestLocal& digest_local)
      : project_(project), platform_(platform), digest_local_(digest_local) {}

  Result<ResolvedElement> resolve(LoadElement& element);

  // Of sources, in the order of resolving.
  std::vector<std::string>& warnings() { return warnings_; }
  // Kinds that were used, in the order of first use, with where they come from.
  const model::StringMap& element_plugins() const { return element_plugins_; }
  const model::StringMap& source_plugins() const { return source_plugins_; }

 private:
  // What all elements of a kind start from.
  struct KindDefaults {
    const ElementKind* kind = nullptr;
    File file;
    Node* variables = nullptr;    // project and kind
    Node* environment = nullptr;  // project and kind
    std::vector<std::string> environment_nocache;
    Node* config = nullptr;
    Node* split_rules = nullptr;
    Node* sandbox = nullptr;  // project and kind
  };

  Result<const KindDefaults*> defaults_of(const LoadElement& element);
  Result<Node*> compose_variables(const LoadElement& element, const KindDefaults& defaults);
  Result<Node*> compose_environment(const LoadElement& element, const KindDefaults& defaults);
  Result<Node*> compose_public(const LoadElement& element, const KindDefaults& defaults);
  Result<Node*> compose_part(const LoadElement& element, std::string_view key, const Node& defaults);
  Status read_sandbox(const Node& config, model::Sandbox& sandbox, std::string& json) const;
  Status resolve_source(const LoadElement& element, Node& node, Variables& variables, model::Source& source, std::string& key);
  Status check_provenance_attributes(const Node& attributes) const;

  Project& project_;
  const Platform& platform_;
  const DigestLocal& digest_local_;
  std::unordered_map<std::string, std::unique_ptr<KindDefaults>> defaults_;
  std::vector<std::string> warnings_;
  model::StringMap element_plugins_;
  model::StringMap source_plugins_;
  Arena arena_;  // scratch of one element
};

}  // namespace sluice::loader
