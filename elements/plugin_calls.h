// PluginCalls is what an element's plugin can call for while its element is built (CALL of
// spec/plugins.md): directories of the root, staging, commands, what is known of dependencies.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elements/build.h"
#include "store/tree.h"
#include "wire/codec.h"

namespace sluice::elements {

// Refers to what it is given. One thread.
class PluginCalls {
 public:
  // `directory` is the one that the host and this both can write to.
  PluginCalls(Build& build, std::string directory)
      : build_(build), directory_(std::move(directory)) {}

  // Does what is called for: the frame that answers. Errors end the host and the job; those that
  // the plugin may go on after are in the answer (H17).
  Result<std::string> answer(wire::Value call);

  // Names the subsandboxes in the artifact, as they are now.
  Status keep_subsandboxes();

 private:
  // A root, and what was staged in it.
  struct Root {
    store::Tree tree;
    std::unique_ptr<Staging> staging;
    bool subsandbox = false;
  };
  struct Call {
    std::string_view name;
    Status (PluginCalls::*handle)(wire::Value call, wire::Writer& answer);
  };
  static const Call kCalls[];

  Status directory(wire::Value call, wire::Writer& answer);
  Status make_directory(wire::Value call, wire::Writer& answer);
  Status import(wire::Value call, wire::Writer& answer);
  Status take(wire::Value call, wire::Writer& answer);
  Status put(wire::Value call, wire::Writer& answer);
  Status get(wire::Value call, wire::Writer& answer);
  Status remove(wire::Value call, wire::Writer& answer);
  Status rename(wire::Value call, wire::Writer& answer);
  Status digest(wire::Value call, wire::Writer& answer);
  Status subsandbox(wire::Value call, wire::Writer& answer);
  Status stage(wire::Value call, wire::Writer& answer);
  Status stage_sources(wire::Value call, wire::Writer& answer);
  Status manifest(wire::Value call, wire::Writer& answer);
  Status public_data(wire::Value call, wire::Writer& answer);
  Status environment(wire::Value call, wire::Writer& answer);
  Status variables(wire::Value call, wire::Writer& answer);
  Status sources(wire::Value call, wire::Writer& answer);
  Status run(wire::Value call, wire::Writer& answer);

  Status run_batch(wire::Value steps, bool read_only);
  Result<sandbox::Command> command_in(wire::Value step);
  Result<store::Tree*> tree_of(wire::Value call, std::string_view key = "tree");
  Result<const model::ArtifactRef*> artifact_of(wire::Value number);
  Result<UniqueFd> open_in_directory(wire::Value call, int flags);

  Build& build_;
  const std::string directory_;
  std::vector<Root> roots_;  // those after the build's own, which is 0
};

}  // namespace sluice::elements
