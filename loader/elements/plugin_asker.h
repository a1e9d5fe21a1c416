// PluginAsker asks plugins in Python what the loader must know of their sources (spec/plugins.md),
// all of them at once where that can be.
//
// A question and its answer are values: what an element says is composed, packed, and looked for
// among the answers that there are. While questions are collected nobody is asked; ask_all() does
// then, in one exchange. What plugins looked at is noted as lookups of the load.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/project/project.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "plugins/host.h"

namespace sluice::loader {

// PluginModule says where Python finds a plugin.
struct PluginModule {
  std::string file;
  std::string root;  // the directory to import from
  std::string name;  // dotted below it; without a dot for files of projects
};

// What a plugin says of one source.
struct SourceAnswer {
  std::optional<Error> error;
  std::string key;  // JSON
  bool resolved = false;
  model::Node ref;
  struct Url {
    std::string url;
    bool primary = false;
  };
  std::vector<Url> urls;
  std::vector<std::string> flags;
  struct Warning {
    std::string name, text, detail;
  };
  std::vector<Warning> warnings;

  bool has(std::string_view flag) const;
};

struct SourceQuestion {
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
  Result<const SourceAnswer*> ask(const SourceQuestion& question);
  void collect(SourceQuestion question);
  // Asks what was collected. A host that fails has its failure for an answer to one question.
  void ask_all();

  // Packs what is asked about a source. `config` is composed, and its variables are replaced.
  static std::string pack(const PluginModule& plugin, std::string_view kind,
                          std::string_view element, std::size_t index, std::string_view directory,
                          std::string_view mirrors, const Mark& mark, const Node& config,
                          const Node* provenance);
  // Packs PROJECT with those aliases that the URLs begin with.
  static Result<std::string> pack_project(Project& project, bool first_pass,
                                          const std::vector<SourceAnswer::Url>& urls,
                                          const Provenance& at);
  // Where the kind keeps what it downloads.
  std::string mirror_directory(std::string_view kind) const;
  // What a host has to see for a question.
  static std::vector<std::string> readable(const Project& project, const PluginModule& plugin);

 private:
  using Key = std::pair<std::pair<const Project*, bool>, std::string>;
  static Key key_of(const SourceQuestion& question) {
    return {{question.project, question.first_pass}, question.packed};
  }
  Status exchange(const std::vector<const SourceQuestion*>& questions);
  Status note_reads(wire::Value reads);

  const model::Settings& settings_;
  Lookups& lookups_;
  plugins::Host host_;
  std::mutex one_;  // guards what follows
  std::map<Key, SourceAnswer> answers_;
  std::vector<SourceQuestion> collected_;
  std::uint64_t asked_ = 0;
};

}  // namespace sluice::loader
