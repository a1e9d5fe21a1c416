// Looking at the world while loading: files, their absence, directories, the environment. This is
// the one place for it, and every lookup is noted with its outcome, so that an answer can be given
// again as long as all outcomes are the same (snapshot_cache.h).
//
// Whoever adds a look at something outside of the request takes it through here. What belongs to
// the request (options, targets) or to the machine (uname, processors) does not: it is part of the
// request's own key.
//
// May be used by several threads at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <vector>

#include <sys/types.h>

#include "base/file_stamp.h"
#include "base/result.h"
#include "model/model.h"
#include "project/yaml.h"

namespace sluice::project {

class ParseCache;
class ReadAhead;

// One thing that was looked at, and what was seen.
struct Lookup {
  enum class Kind : std::uint8_t {
    kFile,         // read whole; outcome: SHA-256 of its content
    kExists,       // outcome: "1" or "0"; a link exists wherever it leads
    kPath,         // outcome: what resolve() says
    kDirectory,    // outcome: SHA-256 of what list() says
    kEnvironment,  // outcome: "=" and the value, "" when unset
    kDiskSize,     // outcome: bytes
    kLocal,        // a local source; outcome: its digest
    kWorkspace,    // an open workspace; outcome: its digest, times of files included
  };
  Kind kind = Kind::kFile;
  std::string path;
  std::string outcome;  // "" where a file couldn't be read
  FileStamp stamp;      // of files and directories, when `stamped`
  bool stamped = false;

  bool operator==(const Lookup&) const = default;
};

class Lookups {
 public:
  Lookups();
  ~Lookups();
  Lookups(const Lookups&) = delete;
  Lookups& operator=(const Lookups&) = delete;

  // Begins a load of the project: element files are read ahead, and what yaml-cpp makes of files is
  // kept for the project's next load. For one thread.
  void start(const std::string& project_directory);
  // What start() made; null before it.
  ReadAhead* ahead() const { return ahead_.get(); }
  ParseCache* parsed() const { return parsed_.get(); }
  // Ends the load: what was parsed is kept.
  void finish();

  // A regular file's content, which lives in `arena`. Errors: load/missing-file,
  // load/loading-directory, load/invalid-yaml for devices and the like.
  Result<std::string_view> read(Arena& arena, const std::string& path,
                                std::string* sha256 = nullptr);

  // Reads the file of `lookup` and fills its outcome and stamp, without noting it.
  static Result<std::string_view> read(Arena& arena, Lookup& lookup);

  // Whether there is something at `path`. A link exists wherever it leads.
  bool exists(const std::string& path);

  // The outcome of following a path.
  struct Resolved {
    bool is_link = false;   // the path itself is a symbolic link
    std::error_code error;  // why it leads nowhere
    std::string path;       // absolute, without links
    mode_t type = 0;        // S_IFREG...; 0 when it leads nowhere
  };
  Resolved resolve(const std::string& path);

  // An entry of a directory. list() gives them in the order in which the file system does, without
  // "." and ".."; nothing when the directory can't be read.
  struct Entry {
    std::string name;
    bool is_directory = false;  // itself, or what the link leads to
    bool is_link = false;
  };
  std::vector<Entry> list(const std::string& path);

  std::optional<std::string> environment(const std::string& name);

  // Bytes of the file system that holds `path`.
  Result<std::uint64_t> disk_size(const std::string& path);

  void note_local(const std::string& path, const model::Digest& digest);
  void note_workspace(const std::string& path, const model::Digest& digest);

  // Notes a lookup that was done elsewhere.
  void note(Lookup lookup);

  // Everything that was noted so far, each lookup once.
  std::vector<Lookup> noted() const;
  void each(const std::function<void(const Lookup&)>& f) const;

 private:
  mutable std::mutex mutex_;
  // Lookups, packed since there is one for each element, in blocks of whole ones.
  std::deque<std::string> packed_;
  std::unordered_set<std::uint64_t> seen_;  // hashes of kind and path
  std::unique_ptr<ParseCache> parsed_;
  std::unique_ptr<ReadAhead> ahead_;  // uses `parsed_`
};

// The outcome of a lookup when it is done again; always "" for digests, which others make.
std::string look_again(Lookup::Kind kind, const std::string& path);

std::string outcome_of(const model::Digest& digest);

}  // namespace sluice::project
