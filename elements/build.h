// What a kind of element works with while it is built: the root, the commands, the artifact.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "elements/artifact_writer.h"
#include "elements/build_root.h"
#include "elements/command_runner.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "sources/info.h"
#include "store/cas.h"
#include "store/realise.h"

namespace sluice::elements {

class PluginElement;  // plugin_element.cc

// Refers to all it is given. Its parts refer to each other: it stays where it was made. One thread.
class Build {
 public:
  Build(const JobData& data, store::Cas& cas, store::Realiser& realiser, Reporter& reporter,
        sandbox::Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel),
        root_(data, cas, reporter, cancel), commands_(data, root_, cas, realiser, reporter, cancel),
        artifact_(data, root_, commands_, cas, reporter) {}
  Build(const Build&) = delete;
  Build& operator=(const Build&) = delete;

  const JobData& data() const { return data_; }
  const std::vector<model::ArtifactRef>& dependencies() const { return data_.job.dependencies; }
  store::Cas& cas() { return cas_; }
  Reporter& reporter() { return reporter_; }
  sandbox::Cancel& cancel() { return cancel_; }
  BuildRoot& root() { return root_; }
  CommandRunner& commands() { return commands_; }
  ArtifactWriter& artifact() { return artifact_; }

  // Asks the plugin in Python of a source where that comes from. Whoever can do that gives it.
  using AskSource = std::function<sources::Infos(const model::Source&)>;
  void ask_sources_by(AskSource ask) { ask_source_ = std::move(ask); }
  const AskSource& ask_source() const { return ask_source_; }

  // What the plugin of the element's kind has of the build, from its first step to its last.
  std::shared_ptr<PluginElement>& plugin() { return plugin_; }

 private:
  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  sandbox::Cancel& cancel_;
  BuildRoot root_;
  CommandRunner commands_;
  ArtifactWriter artifact_;
  AskSource ask_source_;
  std::shared_ptr<PluginElement> plugin_;
};

}  // namespace sluice::elements
