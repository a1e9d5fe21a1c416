// GitProgram is the `git` program as sources use it: shut off from this machine's configuration,
// hooks and helpers, never asking anybody, and held to the protocols that BuildStream's sources
// name.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sources/work.h"

namespace sluice::sources {

struct GitCall {
  std::vector<std::string> arguments;
  std::string directory;  // where git works: the repository, where the next is ""
  std::string git_dir;    // a repository's; "": found from `directory`
  std::string work_tree;
  std::string index;       // "": the repository's
  std::string alternates;  // a directory with more objects; "": none
  std::string_view input;
  bool discard = false;  // what git writes to standard output is of no use
  // The URL that git talks to, if it does: such a call may fail later than others, and be silent
  // for too long.
  std::string url;
  std::vector<std::pair<std::string, std::string>> config;  // on top of what all calls have
};

// Errors: "prog-not-found" without the program, "job"/"killed".
class GitProgram {
 public:
  GitProgram(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings) {}

  // Runs git; gives how it ended. What it said is in the log.
  Result<ToolRun> run(const GitCall& call);
  // Runs git; gives what it wrote to standard output, without a newline at the end. `failure`: the
  // message of the error, domain "plugin", when its status isn't 0.
  Result<std::string> output(const GitCall& call, std::string_view failure);

  const model::Source& source() const { return source_; }
  Surroundings& surroundings() { return surroundings_; }
  // The error of a call that ended with another status than 0: what it wrote is the detail.
  tl::unexpected<Error> failed(const ToolRun& run, std::string_view failure) const;

 private:
  const model::Source& source_;
  Surroundings& surroundings_;
};

// GitUrl is a URL as it can be handed to git: its user and password, where it is http(s), go
// another way than by arguments, which everybody can read.
struct GitUrl {
  std::string url;
  std::string authorization;  // "Basic ..."; "" for none
};
GitUrl git_url(std::string_view url);

// Whether a server, or git or ssh on behalf of the user, won't have it: another try changes
// nothing.
bool is_refusal(const ToolRun& run);

// Whether what the URL names is on this machine: a path, or file://.
bool is_local_url(std::string_view url);

}  // namespace sluice::sources
