// Digests of local sources, from one load of a project to the next: a tree is hashed again
// only when something in it has changed, which stat tells: the device, inode, size, mode,
// mtime and ctime of everything in it, directories included. The ctime can't be set, so that
// writing a file and giving it its old mtime shows; a file that comes or goes changes the
// times of its directory.
//
// A digest is kept only when everything had settled (base/file_stamp.h) before it was looked at: so
// what changes while it is hashed looks different from then on.
//
// All of a project's are in one file (kept_file.h), written at the end when there are more. Of two
// loads that end at the same time one's additions are lost, and will be made again.
//
// Of a tree with many files each one's digest is kept too, in a file of the tree's own, so that
// after a change only what changed is read. Nobody looks at it as long as the whole tree looks as
// it did.
//
// May be used by several threads at a time.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "project/kept_file.h"
#include "store/directory.h"

namespace sluice::loader {

// A tree whose files' digests are remembered.
class KnownFiles : public store::KnownTree {
 public:
  // The tree's digest when those of its files were remembered.
  virtual const std::optional<model::Digest>& earlier() const = 0;
};

class LocalCache {
 public:
  // `directory` is what the project is called by: the same gives the same file.
  explicit LocalCache(std::string_view directory, const Clock& clock = system_clock());

  // Makes a digest by hashing or importing; with what is known of the files when `known` isn't
  // null.
  using Make = std::function<Result<model::Digest>(KnownFiles* known)>;
  // The digest of the file or directory at `path`, which must be absolute: one that `make` gives,
  // or one that was kept. A kept one counts when `usable` says so.
  Result<model::Digest> digest(const std::string& path,
                               const std::function<bool(const model::Digest&)>& usable,
                               const Make& make);
  // A digest that `make` gives each time, with what is known of the files one by one.
  Result<model::Digest> by_files(const std::string& path, const Make& make);

  // Writes the project's file when something was added.
  void save();

 private:
  struct Known {
    std::string looks;
    model::Digest digest;
    bool used = false;
  };

  void load();
  Result<model::Digest> by_files(const std::string& path, const store::LookedTree& looked,
                                 std::int64_t began_ns, const Make& make);

  KeptFiles files_;
  KeptFiles tables_;
  std::string name_;
  const Clock& clock_;
  std::mutex mutex_;
  bool loaded_ = false;
  bool added_ = false;
  std::unordered_map<std::string, Known> known_;  // by path
};

}  // namespace sluice::loader
