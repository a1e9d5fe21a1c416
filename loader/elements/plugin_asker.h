// PluginAsker asks plugins in Python what the loader must know of their elements and sources
// (spec/plugins.md), all of them at once where that can be.
//
// A question and its answer are values: what an element says is composed, packed, and looked for
// among the answers that there are. While questions are collected nobody is asked; ask_all() does
// then, in one exchange. What plugins looked at is noted as lookups of the load.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/project/plugins.h"
#include "loader/project/project.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "plugins/host.h"

namespace sluice::loader {

// What a plugin says of one element or source.
struct PluginAnswer {
  std::optional<Error> error;
  std::string key;        // JSON
  bool resolved = false;  // of a source
  model::Node ref;        // of a source
  // The ref that the element has in vain: what is kept elsewhere stands above it.
  model::Node redundant;
  struct Url {
    std::string url;
    bool primary = false;
  };
  std::vector<Url> urls;             // of a source
  std::vector<std::string> aliases;  // of a mirror: those that it has
  std::vector<std::string> flags;    // of the plugin as it is for this element or source
  int artifact_version = 0;          // of an element
  struct Warning {
    std::string name, text, detail;
  };
  std::vector<Warning> warnings;

  bool has(std::string_view flag) const;
  // Whether the plugin of an element wants to know what its dependencies need (H22).
  bool wants_needs() const { return error && error->reason == "needs-dependencies"; }
};

struct PluginQuestion {
  PluginType type = PluginType::kSource;
  Project* project = nullptr;
  bool first_pass = false;
  std::string kind;
  const PluginModule* plugin = nullptr;
  std::string packed;  // QUESTION without `project`
  Provenance place;
};

class PluginAsker {
 public:
  // All must outlive it. The first that asks is the thread that all must ask from.
  PluginAsker(const model::Settings& settings, Lookups& lookups);

  // The answer to a question. Errors are of the host, with the kind, the Python file and the place;
  // an error of the plugin is part of the answer.
  Result<const PluginAnswer*> ask(const PluginQuestion& question);
  void collect(PluginQuestion question);
  // Says of a plugin that elements or sources will ask, and then, of how many elements: hosts start
  // while questions are made.
  void expect(const Project& project, const PluginModule& plugin, std::string_view kind);
  void start_hosts(std::size_t elements);
  // Asks what was collected. A host that fails has its failure for an answer to one question. True
  // when an answer wants to know more.
  bool ask_all();
  // Whether the answer that there is to a question does.
  bool wants_needs(const PluginQuestion& question);

  // What of a source's ref is kept elsewhere than in its element.
  struct Stored {
    bool clear = false;          // what the element says has no effect
    const Node* node = nullptr;  // null: nothing is kept yet
  };
  // What is asked about a source. `config` is composed, and its variables are replaced.
  struct SourceFacts {
    std::string_view kind, element;
    std::size_t index = 0;
    std::string_view directory, mirrors;
    const Mark& mark;
    const Node& config;
    const Node* provenance = nullptr;  // null: none
    std::optional<Stored> stored = std::nullopt;
  };
  static std::string pack(const PluginModule& plugin, const SourceFacts& facts);
  // What is asked about an element.
  struct ElementFacts {
    std::string_view kind, element;
    const Mark& mark;
    const Node& config;
    const Node& public_data;
    const Node& environment;
    const model::StringMap& variables;
    struct Dependency {
      std::string name, kind, project;
      bool build = false;
      bool runtime = false;
      const Node* config = nullptr;  // null: none
      std::string path = {};         // as the element names it; "": as its project names it
      // What it needs at run time, as positions in the list.
      std::optional<std::vector<std::size_t>> needs = std::nullopt;
    };
    std::vector<Dependency> dependencies;
    std::vector<std::string_view> sources;  // their kinds
  };
  static std::string pack(const PluginModule& plugin, const ElementFacts& facts);
  // The same without what the element's body has, from which a job adds it again.
  static Result<std::string> without_body(const std::string& element_question);
  // What is asked about a mirror of `project`, and what hosts are told of it.
  static std::string pack_mirror(const Project& project, const PluginModule& plugin,
                                 std::string_view kind, const Node& node);
  // Packs PROJECT with those of the aliases that it has, and with the mirrors that are plugins and
  // may stand for them.
  static std::string pack_project(const Project& project, bool first_pass,
                                  const std::vector<std::string>& aliases, const Provenance& at);
  // The aliases with which the URLs of a source begin, as `project` has them.
  static std::vector<std::string> aliases_of(const Project& project, bool first_pass,
                                             const model::Source& source);
  // Whether some URL of a source is what the plugin of a mirror makes of it.
  static bool has_mirror_url(const model::Source& source);
  // Where the kind keeps what it downloads.
  std::string mirror_directory(std::string_view kind) const;
  // What a host has to see for a question about a plugin, or about none.
  static std::vector<std::string> readable(const Project& project, bool first_pass,
                                           const PluginModule* plugin);

 private:
  using Key = std::pair<std::pair<const Project*, bool>, std::string>;
  static Key key_of(const PluginQuestion& question) {
    return {{question.project, question.first_pass}, question.packed};
  }
  // Questions that one host was asked.
  struct Exchange {
    plugins::Host* host = nullptr;
    std::span<const PluginQuestion* const> questions;
    std::size_t answered = 0;
  };
  Status exchange(const std::vector<const PluginQuestion*>& questions);
  Status begin(Exchange& exchange);
  Status finish(Exchange& exchange);
  // What a host failed with, as the failure of the question that it was at.
  static tl::unexpected<Error> failure(const Exchange& exchange, Error error);
  Status note_reads(wire::Value reads);

  const model::Settings& settings_;
  Lookups& lookups_;
  // Many questions are shared out to both, which work at the same time.
  std::array<plugins::Host, 2> hosts_;
  std::mutex one_;  // guards what follows
  std::map<Key, PluginAnswer> answers_;
  std::vector<PluginQuestion> collected_;
  std::uint64_t asked_ = 0;
  bool expects_ = false;
};

}  // namespace sluice::loader
