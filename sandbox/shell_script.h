// ShellScript is the script of one batch of commands, as BuildStream's REAPI sandbox writes it
// (sandbox/_sandboxreapi.py): so that logs, and what a command can see of its
// surroundings, are the same. spec/sandbox.md section 4.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"

namespace sluice::sandbox {

struct Command {
  std::vector<std::string> argv;
  std::string directory;         // absolute, in the sandbox
  model::StringMap environment;  // without PWD, which is added
  std::string label;             // shown, and named when the command fails; "": its command line
};

class ShellScript {
 public:
  void add(const Command& command);
  // Adds the removal of a directory, which may fail; and the making of an empty file in the
  // directory of the command before. Of a script without a command they are all: it isn't run.
  void add_removal(std::string_view path);
  void add_file(std::string_view name);

  bool empty() const { return !first_; }
  const std::string& text() const { return text_; }
  // The directory and environment (PWD included) with which the script is started.
  const std::string& directory() const { return first_->directory; }
  const model::StringMap& environment() const { return first_->environment; }
  // Whether the text has values of the environment in it, since those of a later command are
  // others.
  bool exports() const { return exports_; }
  // The labels, one a line, which "Running commands" has as its detail.
  std::string labels() const { return labels_; }

 private:
  std::string text_;
  std::string labels_;
  std::optional<Command> first_;
  std::string directory_;
  model::StringMap environment_;
  bool exports_ = false;
};

// Python's shlex.quote().
std::string shell_quote(std::string_view text);
// Python's str.strip() for ASCII white space.
std::string strip(std::string_view text);

}  // namespace sluice::sandbox
