// Digests of local sources, from one load of a project to the next: a tree is hashed again
// only when something in it has changed, which stat tells: the device, inode, size, mode,
// mtime and ctime of everything in it, directories included. The ctime can't be set, so that
// writing a file and giving it its old mtime shows; a file that comes or goes changes the
// times of its directory.
//
// Times are coarse: what was changed just before it was looked at may change again unseen. So a
// digest is kept only when everything was older than FileStamp::settled() asks for, and looked
// the same after hashing as before.
//
// All of a project's are in one file (kept_file.h), written at the end when there are more. Of two
// loads that end at the same time one's additions are lost, and will be made again.
//
// Of a tree with many files each one's digest is kept too, in a file of the tree's own, so that after a change only what
// changed is read. Nobody looks at it as long as the whole tree looks as it did.
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
#include "loader/kept_file.h"
#include "model/model.h"
#include "store/directory.h"

namespace sluice::loader {

class LocalCache {
 public:
  // `directory` is what the project is called by; the same gives the same file.
  explicit LocalCache(std::string_view directory, const Clock& clock = system_clock());

  // Hashes or imports; may ask what is known of the files, and tell.
  using Make = std::function<Result<model::Digest>(store::FileDigests* known)>;
  // The digest of the file or directory at `path`, which must be absolute: `make`'s, now or earlier. An earlier one
  // counts when `usable` says so.
  Result<model::Digest> digest(const std::string& path, const std::function<bool(const model::Digest&)>& usable, const Make& make);
  // Only what is known of its files one by one: for what is made anew each time.
  Result<model::Digest> by_files(const std::string& path, const Make& make);

  // When something was added.
  void save();

 private:
  struct Known {
    std::string fingerprint;
    model::Digest digest;
    bool used = false;
  };

  void load();

  KeptFiles files_;
  KeptFiles tables_;
  std::string name_;
  const Clock& clock_;
  std::mutex mutex_;
  bool loaded_ = false;
  bool added_ = false;
  std::unordered_map<std::string, Known> known_;  // by path
};

// How a tree looks by stat, links not followed; nothing when not all of it can be looked at.
struct Fingerprint {
  std::string sha256;
  std::int64_t latest_ns = 0;  // the latest of all times
};
std::optional<Fingerprint> fingerprint(const std::string& path);

}  // namespace sluice::loader
