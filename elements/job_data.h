// A job as its process has unpacked it: what it is to do, with which element and which settings.
#pragma once

#include <string>
#include <string_view>

#include "model/model.h"
#include "sandbox/sandbox.h"
#include "wire/job_messages.h"

namespace sluice::elements {

struct JobData {
  wire::Job job;
  wire::JobElement element;
  model::ElementBody body;
  model::Settings settings;
  std::string scratch;  // the attempt's directory, sandbox/scratch.h
  sandbox::TokenEnds tokens;
  int memory_group = -1;  // sandbox/memory_limit.h
  // Commands run on this machine, whatever services the settings name: somebody waits for them at a
  // terminal.
  bool local = false;
  // Commands run although a service knows what comes of them.
  bool anew = false;

  // A variable of the element; `otherwise` when it has none of that name.
  std::string variable(std::string_view name, std::string_view otherwise = {}) const;
  // The same of a variable that names a directory in the sandbox: without "." and "..", where that
  // can be said.
  std::string directory_variable(std::string_view name, std::string_view otherwise = {}) const;
  // Whether the element's sources are those of an open workspace.
  bool workspaced() const;
};

}  // namespace sluice::elements
