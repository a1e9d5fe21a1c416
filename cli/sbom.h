// A bill of materials: elements, what each needs, and where their sources come from, as `sbom`
// writes it in one format or the other. It has no times and nothing random: what is the same gives
// the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/load.h"
#include "sources/info.h"

namespace sluice::cli {

// What an element has to do with the targets' artifacts.
enum class BomRole : std::uint8_t {
  kTarget,
  kRuntime,  // comes with them: they need it at run time, or are composed of it
  kBuild,    // was there when they, or what comes with them, were built
};
std::string_view text_of(BomRole role);

// One thing that sources come from: a repository, a file, a crate. Its texts have no credentials in
// them. What isn't known is "".
struct BomSource {
  std::string id;    // hexadecimal, of all that is said here but `build_only`
  std::string kind;  // of the source
  std::string name;
  std::string version;       // the plugin's, or guessed
  std::string medium;        // BuildStream's: "git", "remote-file", "local" ...
  std::string version_type;  // "commit", "sha256" ...
  std::string reference;     // of that type
  std::string url;           // without alias
  std::string purl;
  std::string homepage, issue_tracker, license;
  std::vector<std::pair<std::string, std::string>> attributes;  // its provenance besides
  std::string unknown;  // why nothing more is known: the kind doesn't tell, or it has no ref
  bool patch = false;   // it changes what other sources of its elements are
  bool build_only = true;

  // Where it is downloaded, as SPDX writes it; "" when that can't be said.
  std::string location() const;
  // The SHA-256 of the file; "" when it isn't one, or has none.
  std::string sha256() const;
};

struct BomDependency {
  std::size_t element = 0;  // of the bill
  bool build = false, runtime = false;
  bool composed = false;  // its files are in the artifact
};

struct BomElement {
  std::string name, project, kind, description;  // the name is the full one
  std::string key;                               // "" while it isn't known
  std::string version;                           // of the first source that has one
  std::string cpe;  // of the public data `cpe`, in the form "cpe:2.3:a:..."
  BomRole role = BomRole::kBuild;
  std::vector<BomDependency> dependencies;
  std::vector<std::size_t> sources;  // each once
};

struct Bom {
  std::string project;
  std::vector<std::size_t> targets;
  std::vector<BomElement> elements;  // what is needed comes before what needs it
  std::vector<BomSource> sources;    // in the order of their first use
  std::string digest;                // SHA-256 of all of the above
  // Seconds, of $SOURCE_DATE_EPOCH when that is set.
  std::optional<std::int64_t> time;
};

// The bill of `loaded`'s selection, with bodies. `ask` asks the plugin of a source that has one.
// `warn` is told, once for each kind, of sources that don't say where they come from: they are in
// the bill all the same. Errors: "app"/"bad-time" for a $SOURCE_DATE_EPOCH that is no number.
Result<Bom> collect_bom(
    const LoadedProject& loaded,
    const std::function<sources::Infos(const model::Element&, const model::Source&)>& ask,
    const std::function<void(const std::string&)>& warn);

// The documents: SPDX 2.3 and CycloneDX 1.5, each as JSON.
std::string spdx_text(const Bom& bom);
std::string cyclonedx_text(const Bom& bom);

}  // namespace sluice::cli
