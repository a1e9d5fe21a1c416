// Which files and directories of the user's a project needs: what commands that replace or remove
// directories leave alone.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"

namespace sluice::cli {

class ProjectFiles {
 public:
  // The files of the project in `project`: itself, its elements, what its sources are made of, what
  // it includes, its plugins, its workspaces; and the user's home and caches. What they say is read
  // as it is written, whatever conditions it is under, and files with mistakes in them are
  // protected too; what only a load knows is added where the project loads.
  static ProjectFiles of(Invocation& invocation, const std::string& project);

  // Whether a directory may go with all that is in it. `element` is the one whose workspace it is
  // by now, or "". The error says what the directory is needed for, and where that is said.
  Status may_remove(const std::string& directory, const std::string& element) const;
  // Whether one file may be overwritten.
  Status may_overwrite(const std::string& file) const;
  // Whether anything below a directory could be refused: else nobody need look.
  bool near(const std::string& directory) const;

 private:
  struct Place {
    std::string path;  // resolved
    std::string what;  // "the source of hello.bst"
    Provenance at;
    std::string workspace;    // the element whose workspace it is
    bool elements = false;    // the element path
    bool only_above = false;  // what lies in it may go
  };
  void add(std::string path, std::string what, Provenance at);
  void scan(const std::string& path, const std::string& display, const std::string& what);
  void add_workspaces();
  void add_loaded(Invocation& invocation);
  // The place has the whole project in it.
  bool whole(const Place& place) const;

  std::string project_;
  std::vector<Place> places_;
  std::vector<std::string> scanned_;
};

}  // namespace sluice::cli
