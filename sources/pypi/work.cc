// The work of kind pypi, a source distribution of the Python Package Index
// (buildstream-plugins-community, pypi). Tracking asks the index's simple API (PEP 691).
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fnmatch.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/truth.h"
#include "base/try.h"
#include "sources/indexed_file.h"
#include "sources/pypi/version.h"
#include "sources/works.h"

namespace sluice::sources::pypi {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kIndex = "https://pypi.org/simple/";
constexpr std::string_view kStorage = "https://files.pythonhosted.org/packages/";

// Whether a file of the index was withdrawn: it says so by a truth, or by why.
bool is_yanked(const Json& file) {
  const auto yanked = file.find("yanked");
  if (yanked == file.end() || yanked->is_null()) return false;
  if (yanked->is_boolean()) return yanked->get<bool>();
  return !yanked->is_string() || !yanked->get_ref<const std::string&>().empty();
}

const std::string* text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get_ptr<const std::string*>() : nullptr;
}

class Releases {
 public:
  explicit Releases(const model::Source& source)
      : prereleases_(is_true(source.config.get_string("prereleases"))),
        include_(source.config.get_strings("include")),
        exclude_(source.config.get_strings("exclude")) {}

  // The file of the newest version that is wanted, of several the last; nullptr when there is none.
  const Json* newest(const Json& files) const {
    const Json* best = nullptr;
    std::optional<Version> of;
    for (const Json& file : files) {
      const std::string* name = file.is_object() ? text_at(file, "filename") : nullptr;
      if (name == nullptr || is_yanked(file)) continue;
      const auto version = version_of_sdist(*name);
      if (!version || !is_wanted(*version) || (of && *version < *of)) continue;
      best = &file;
      of = version;
    }
    return best;
  }

 private:
  bool is_wanted(const Version& version) const {
    if (version.is_prerelease() && !prereleases_) return false;
    const std::string text = version.str();
    const auto matches = [&](const std::string& pattern) {
      return ::fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
    };
    return std::all_of(include_.begin(), include_.end(), matches) &&
           std::none_of(exclude_.begin(), exclude_.end(), matches);
  }

  bool prereleases_;
  std::vector<std::string> include_, exclude_;
};

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  const std::string name = source.config.get_string("name");
  const std::string url = fmt::format("{}{}", kIndex, name);
  const auto broken = [&](std::string_view what) {
    return source_error(source, "bad-index", fmt::format("{}{} {}", where(source), url, what));
  };
  const std::string text =
      TRY(read_index(source, surroundings, {url}, {"Accept: application/vnd.pypi.simple.v1+json"}));
  const Json index = parse_json(text);
  if (index.is_discarded()) return broken("is no JSON");
  const auto files = index.is_object() ? index.find("files") : index.end();
  if (!index.is_object() || files == index.end() || !files->is_array())
    return broken("has no list 'files'");
  if (files->empty()) {
    return source_error(source, "",
                        fmt::format("{}Cannot find any tracking for {}", where(source), name));
  }
  const Json* file = Releases(source).newest(*files);
  if (file == nullptr) {
    surroundings.message(Weight::kWarning,
                         fmt::format("{}No matching release found", where(source)));
    return std::optional<Found>();
  }
  const auto hashes = file->find("hashes");
  const std::string* sum = hashes != file->end() ? text_at(*hashes, "sha256") : nullptr;
  const std::string* place = text_at(*file, "url");
  if (sum == nullptr || place == nullptr)
    return broken(fmt::format("tells no URL and SHA-256 of {}", *text_at(*file, "filename")));
  if (!place->starts_with(kStorage))
    return broken(
        fmt::format("has {} at {}, not below {}", *text_at(*file, "filename"), *place, kStorage));
  Found found = found_map({{"sha256sum", model::Node::make_scalar(*sum)},
                           {"suffix", model::Node::make_scalar(place->substr(kStorage.size()))}});
  // The same, in whatever order it is written.
  if (source.ref.is_map() && source.ref.get_string("sha256sum") == *sum &&
      source.ref.get_string("suffix") == found.ref.get_string("suffix"))
    found.ref = source.ref;
  return std::optional(std::move(found));
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return has_indexed_file(source, surroundings);
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return fetch_indexed_file(source, surroundings);
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return stage_indexed_file(source, surroundings);
}

}  // namespace sluice::sources::pypi
