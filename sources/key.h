// Keys of sources: each kind's KIND/key.cc checks a source's configuration, fills the source in,
// and says what of it goes into cache keys. The loader calls it, and implements Project, all that
// it sees of the world.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "yaml/json.h"
#include "yaml/tree.h"

namespace sluice::sources {

using namespace yaml;  // NOLINT(google-build-using-namespace)

// Project is the project that a source is in. Whatever a kind looks at is noted, so that a key is
// made anew when it changes.
class Project {
 public:
  enum class PathKind { kAny, kDirectory, kFile };

  virtual ~Project() = default;
  // Checks a path that the source names: relative, inside the project, and no symbolic link.
  // Errors: load/proj-path-invalid, proj-path-invalid-kind, missing-file.
  virtual Result<std::string> checked_path(const Node& path, PathKind kind) = 0;
  virtual std::string absolute(std::string_view path) = 0;
  // A file's content, which lives in `arena`.
  virtual Result<std::string_view> read(Arena& arena, const std::string& absolute_path) = 0;
  // The names in a directory, in the order in which the file system gives them.
  virtual std::vector<std::string> names(const std::string& absolute_path) = 0;

  // Checks a URL that will be fetched from: its alias must be known, and one without may be a
  // warning or an error of this project.
  virtual Status check_url(std::string_view url) = 0;
  // A URL with its alias replaced.
  virtual Result<std::string> translate_url(std::string_view url) = 0;
  // All URLs that may stand in the place of one, mirrors included, in the order to try.
  virtual Result<std::vector<std::string>> download_urls(std::string_view url) = 0;
  // Says a warning; an error where the project makes one of warnings of that name.
  virtual Status warn(std::string_view name, std::string_view text, std::string_view detail) = 0;
  // The aliases that URLs may begin with.
  virtual std::vector<std::string> aliases() = 0;
};

// Instance is what a kind sees of a source.
struct Instance {
  Project& project;
  const Node& config;     // composed and expanded, without kind, directory and provenance
  Mark mark;              // where the source stands in its element
  model::Source& source;  // kind and directory set; the kind sets the rest
  // Whether the element itself gives a ref, whatever project.refs says.
  bool inline_ref = false;
};

tl::unexpected<Error> source_error(const Instance& instance, std::string reason,
                                   std::string message, std::string detail = {});

// Checks the URL that the source is fetched by, and keeps it with what its alias stands for.
Status mark_url(Instance& instance, std::string_view url);
// The same for a URL of the source that isn't its first.
Status mark_further_url(Instance& instance, std::string_view url);

// Package says whose a kind is.
enum class Package {
  kCore,       // BuildStream's own
  kPlugins,    // buildstream-plugins
  kCommunity,  // buildstream-plugins-community
};
// The distribution's name and the version that its kinds are of; {} for kCore.
struct PackageName {
  std::string_view name, version;
};
PackageName package_name(Package package);

struct KeyRow {
  std::string_view kind;
  Package package = Package::kCore;
  // The kind takes no `provenance`, since its sources have several origins.
  bool custom_provenance = false;
  // The kind is tracked or fetched by what lies before it in the list.
  bool needs_previous = false;
  // Checks the configuration, fills the source in, and appends the JSON of its unique key; nothing
  // when it has no ref, or when its tree's digest is its key. Null for a kind that only Python
  // knows.
  Status (*key)(Instance& instance, std::string& json) = nullptr;
};

// The row of a kind; nullptr when there is none.
const KeyRow* find_key(std::string_view kind);
std::span<const KeyRow> key_rows();

// PluginText is a plugin's Python, by fingerprints of its text.
struct PluginText {
  std::string_view kind;
  std::string_view file;  // where it was read
  std::string key;        // SHA-256 of its get_unique_key()
  std::string whole;      // SHA-256 of all of it and of the modules beside it that it imports
};
// KnownPlugin is what is known of such a plugin. Without a row its keys aren't known; without
// `work` nobody knows whether it tracks, fetches and stages as the kind of that name here does.
struct KnownPlugin {
  const KeyRow* row = nullptr;
  bool work = false;
  std::string_view way;  // model::Source::works_as
};
KnownPlugin recognise(const PluginText& plugin);

// JsonList writes a JSON list, which ends when this goes.
class JsonList {
 public:
  explicit JsonList(std::string& out) : out_(out) { out_ += '['; }
  ~JsonList() { out_ += ']'; }
  JsonList(const JsonList&) = delete;
  JsonList& operator=(const JsonList&) = delete;

  void text(std::string_view text);
  void raw(std::string_view json);

 private:
  std::string& out_;
};

std::string json_text(std::string_view text);
// A JSON object of `map`, which has JSON under its names, in their order.
std::string json_object(const std::map<std::string, std::string>& map);

// Adds what only describes the version, which is in keys all the same: in lists behind everything
// else, in maps under its name.
Status add_version(const Node& config, JsonList& key, bool pattern = true);
Status add_version(const Node& config, std::map<std::string, std::string>& key);

// Makes the key of kinds that download one file: url, ref, and what describes the version. A kind
// may add more to the list.
Status configure_download(Instance& instance, JsonList& key);

// Makes the key of kinds that unpack what they download, and cut a base directory off.
Status configure_archive(Instance& instance, std::string& json);

// Submodules are what a source says of the submodules of its repository (`submodules`,
// `checkout-submodules`), as JSON.
struct Submodules {
  bool checkout = true;
  std::map<std::string, std::string> urls;       // by path; "null" for one without
  std::map<std::string, std::string> checkouts;  // by path, of those that say it
  void add_to(JsonList& key) const;
};
// Checks that, and marks the URLs, those that the repository may have by the aliases of the project
// included.
Result<Submodules> configure_submodules(Instance& instance);

// Whether a text is a ref of git: "COMMIT", or "TAG-DISTANCE-gCOMMIT" as `git describe --long` says
// it.
bool is_git_ref(std::string_view ref);
tl::unexpected<Error> bad_git_ref(const Node& ref);

}  // namespace sluice::sources
