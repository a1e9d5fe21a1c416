// The work of kind go_module, a module of Go in vendor/ of what lies before it, and in its
// vendor/modules.txt (buildstream-plugins-community, go_module). Since release 2.2 a module may be
// in a subdirectory of its repository, and packages are listed; before, the whole repository was
// put there, with its .git.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <regex>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/truth.h"
#include "base/try.h"
#include "sources/git_commit.h"
#include "sources/go_module/import_meta.h"
#include "sources/works.h"

namespace sluice::sources::go_module {

namespace fs = std::filesystem;

namespace {

// A path of several names: each by itself, without empty ones and ".".
std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0 && path.substr(0, slash) != ".") names.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return names;
}

// The lines of a text as Python's str.splitlines() takes them apart.
std::vector<std::string_view> lines_of(std::string_view text) {
  static constexpr std::string_view kEnds[] = {"\r\n",     "\n",           "\r",          "\v",
                                               "\f",       "\x1c",         "\x1d",        "\x1e",
                                               "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0, at = 0; begin < text.size();) {
    std::size_t ending = 0;
    for (; at < text.size() && ending == 0; ++at) {
      for (const std::string_view end : kEnds) {
        if (ending == 0 && text.substr(at, end.size()) == end) ending = end.size();
      }
      if (ending > 0) break;
    }
    lines.push_back(text.substr(begin, at - begin));
    begin = at = at + std::max<std::size_t>(ending, 1);
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = line.find_first_not_of(" \t"); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(" \t", end);
  }
  return words;
}

std::string without_end(std::string text, std::string_view end) {
  if (text.ends_with(end)) text.resize(text.size() - end.size());
  return text;
}

const std::regex& version_regex() {
  static const std::regex kRegex(R"(((v\d+)\.\d+\.\d+(?:-[a-z]+)?)(\+[a-z]+)?)");
  return kRegex;
}

// What go's tools allow beyond that: "v1.0.0-rc.1".
const std::regex& any_version_regex() {
  static const std::regex kRegex(R"(((v\d+)\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(\+[0-9A-Za-z.-]+)?)");
  return kRegex;
}

const std::regex& pseudo_version_regex() {
  static const std::regex kRegex(
      R"(v\d+\.\d+\.\d+-(?:[0-9A-Za-z.-]+\.)?(?:0\.)?\d{14}-([0-9a-f]{4,40})(?:\+incompatible)?)");
  return kRegex;
}

class Module {
 public:
  Module(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings), module_(source.config.get_string("module")),
        old_(source.works_as == kBefore22),
        version_(source.ref.get_string("go-version")), wanted_{.ref = source.ref.get_string(
                                                                   "git-ref")} {}

  const GitWanted& wanted() const { return wanted_; }

  Result<std::optional<Found>> track() {
    const std::string previous = TRY(previous_of(source_, surroundings_));
    const std::string go_mod = TRY(text_of(previous, "go.mod"));
    const std::string go_sum = TRY(text_of(previous, "go.sum"));
    const std::string version = TRY(version_in(go_sum));
    std::string subdirectory;
    const std::string ref = TRY(old_ ? old_ref_of(version) : ref_of(version, subdirectory));
    model::NodeMap map = {
        {"go-version", model::Node::make_scalar(version)},
        {"git-ref", model::Node::make_scalar(ref)},
        {"explicit",
         model::Node::make_scalar(go_mod.find(module_) != std::string::npos ? "True" : "False")}};
    if (!subdirectory.empty())
      map.emplace_back("subdirectory", model::Node::make_scalar(subdirectory));
    Found found;
    for (const auto& [name, value] : map) {
      const std::string_view quote = name == "explicit" ? "" : "'";
      found.shown += fmt::format("{}'{}': {}{}{}", found.shown.empty() ? "{" : ", ", name, quote,
                                 value.scalar, quote);
    }
    found.shown += '}';
    found.ref = model::Node::make_map(std::move(map));
    if (says_the_same(found.ref)) found.ref = source_.ref;
    return std::optional(std::move(found));
  }

  Status stage(const std::string& directory, bool workspace) {
    top_ = TRY(real(directory));
    return old_ ? stage_repository(workspace) : stage_module();
  }

 private:
  tl::unexpected<Error> error(std::string reason, std::string_view message) const {
    return source_error(source_, std::move(reason), fmt::format("{}{}", where(source_), message));
  }

  bool is_explicit() const { return is_true(source_.ref.get_string("explicit")); }

  // Whether a ref that was found is the source's own, however that writes its truths.
  bool says_the_same(model::Node ref) const {
    if (!source_.ref.is_map()) return false;
    model::Node own = source_.ref;
    own.set("explicit", model::Node::make_scalar(is_explicit() ? "True" : "False"));
    const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(own.map.begin(), own.map.end(), by_name);
    std::sort(ref.map.begin(), ref.map.end(), by_name);
    return own == ref;
  }

  Result<std::string> text_of(const std::string& previous, const std::string& name) const {
    const std::string path = fmt::format("{}/{}", previous, name);
    if (!is_inside(TRY(real(previous)), path))
      return error("no-go-module", fmt::format("The sources before it have no file {}", name));
    return read_file(path);
  }

  Result<std::string> version_in(const std::string& go_sum) const {
    std::size_t number = 0;
    for (const std::string_view line : lines_of(go_sum)) {
      ++number;
      const auto words = words_of(line);
      if (words.empty()) continue;
      if (words.size() != 3)
        return error(
            "bad-go-sum",
            fmt::format("go.sum line {}: '{}' is no module, version and checksum", number, line));
      if (words[1].ends_with("/go.sum") || words[1].ends_with("/go.mod")) continue;
      if (words[0] != module_) continue;
      // std::regex recurses for each character.
      if (words[1].size() > 256) return error("bad-go-sum", "a version in go.sum is too long");
      return std::string(words[1]);
    }
    return error("no-go-module", fmt::format("go.sum did not contain {}", module_));
  }

  Result<std::string> tracked(const std::string& tag) {
    return track_commit(source_, surroundings_, {.track = tag, .describe = true});
  }

  Result<std::string> commit_of(const std::string& version, const std::string& prefix) {
    if (prefix.size() < 4 || prefix.size() > 40 ||
        prefix.find_first_not_of("0123456789abcdef") != std::string::npos)
      return error("bad-go-version", fmt::format("version string {} not recognized", version));
    return find_commit(source_, surroundings_, prefix);
  }

  Result<std::string> old_ref_of(const std::string& version) {
    static constexpr std::string_view kIncompatible = "+incompatible";
    if (version.starts_with("v0.0.0"))
      return commit_of(version, version.substr(version.rfind('-') + 1));
    if (version.ends_with(kIncompatible))
      surroundings_.message(Weight::kWarning,
                            fmt::format("{}{} {}", where(source_), module_, version));
    return tracked(without_end(version, kIncompatible));
  }

  Result<std::string> ref_of(const std::string& version, std::string& subdirectory) {
    subdirectory = TRY(subdirectory_of_module());
    std::smatch match;
    if (std::regex_match(version, match, pseudo_version_regex()))
      return commit_of(version, match[1].str());
    if (!std::regex_match(version, match, any_version_regex()))
      return error("bad-go-version", fmt::format("version string {} not recognized", version));
    // Whether the files are in a directory of the major version turns out when they are staged.
    subdirectory = without_end(without_end(subdirectory, match[2].str()), "/");
    return tracked(subdirectory.empty() ? match[1].str()
                                        : fmt::format("{}/{}", subdirectory, match[1].str()));
  }

  // Where in its repository the module lies: who answers for its name says how much of that is the
  // repository's.
  Result<std::string> subdirectory_of_module() {
    if (module_.starts_with("github.com")) {
      std::size_t slash = module_.find('/');
      for (int i = 0; i < 2 && slash != std::string::npos; ++i)
        slash = module_.find('/', slash + 1);
      return slash == std::string::npos ? "" : module_.substr(slash + 1);
    }
    Download page;
    page.urls = {fmt::format("https://{}?go-get=1", module_)};
    page.directory = TRY(surroundings_.directory("go-get"));
    const std::string file = TRY(download_file(source_, surroundings_, page, "Fetching"));
    const auto meta = import_meta(TRY(read_file(file)), module_);
    if (!meta)
      return error("no-go-module",
                   fmt::format("{} does not say which repository {} is of", page.urls[0], module_));
    std::string rest = module_.substr(meta->prefix.size());
    if (rest.starts_with('/')) rest.erase(0, 1);
    if (meta->subdirectory.empty() || rest.empty()) return meta->subdirectory + rest;
    return fmt::format("{}/{}", meta->subdirectory, rest);
  }

  Result<std::string> real(const std::string& path) const {
    std::error_code failed;
    std::string found = fs::canonical(path, failed);
    if (failed) return fail_errno(failed.value(), path);
    return found;
  }

  // Whether a path, its links followed, is in a directory.
  static bool is_inside(const std::string& top, const std::string& path) {
    std::error_code failed;
    const std::string found = fs::canonical(path, failed);
    return !failed && (found == top || found.starts_with(top + "/"));
  }

  // The directory `path` below `from`, through links that don't lead out of `top`; made where it is
  // absent.
  Result<std::string> directory_in(const std::string& top, std::string from,
                                   const std::string& path, bool make) const {
    if (path.starts_with('/'))
      return error("bad-path", fmt::format("'{}' is no path below a directory", path));
    for (const std::string& name : names_of(path)) {
      if (name == "..")
        return error("bad-path", fmt::format("'{}' leads out of its directory", path));
      from += "/" + name;
      if (make && ::mkdir(from.c_str(), 0755) != 0 && errno != EEXIST)
        return fail_errno(errno, from);
      struct stat info {};
      if (!is_inside(top, from) || ::stat(from.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return error("bad-path",
                     fmt::format("'{}' of '{}' is no directory of the sources", name, path));
      }
      from = TRY(real(from));
    }
    return from;
  }

  Status stage_repository(bool workspace) {
    const std::size_t slash = module_.rfind('/');
    const std::string tail = slash == std::string::npos ? module_ : module_.substr(slash + 1);
    // The last part of "example.org/module/v2" is no directory of the repository, but a link to it.
    const bool versioned = version_.starts_with(tail);
    const std::string head = slash == std::string::npos ? "" : module_.substr(0, slash);
    const std::string vendor = TRY(directory_in(top_, top_, "vendor", true));
    const std::string place = TRY(directory_in(top_, vendor, versioned ? head : module_, true));
    struct stat info {};
    if (::lstat((place + "/.git").c_str(), &info) == 0) {
      return error("module-overlap",
                   fmt::format("Another source has put a repository into vendor/{}",
                               versioned ? head : module_));
    }
    CHECK(check_out(source_, surroundings_, wanted_, place,
                    workspace ? GitCheckout::kWorkspace : GitCheckout::kDescribed));
    if (versioned && !tail.empty() && tail != "." && tail != "..") {
      const std::string link = fmt::format("{}/{}", place, tail);
      if (::lstat(link.c_str(), &info) != 0 && ::symlink(".", link.c_str()) != 0)
        return fail_errno(errno, link);
    }
    return append_to_list(
        vendor, is_explicit() ? fmt::format("# {0} {1}\n## explicit\n{0}\n", module_, version_)
                              : fmt::format("# {0}\n{0}\n", module_));
  }

  Status stage_module() {
    const std::string vendor = TRY(directory_in(top_, top_, "vendor", true));
    const std::string place = TRY(directory_in(top_, vendor, module_, true));
    const std::string files = TRY(real(TRY(surroundings_.directory("go_module"))));
    CHECK(check_out(source_, surroundings_, wanted_, files, GitCheckout::kFiles));
    const std::string module = TRY(module_in(files));
    CHECK(move_into(module, place));
    const auto go = TRY(go_directive(place));
    std::string text = is_explicit() ? fmt::format("# {} {}\n## explicit{}\n", module_, version_,
                                                   go ? "; " + *go : "")
                                     : fmt::format("# {}\n", module_);
    std::string name;
    for (const std::string& part : names_of(module_)) name += (name.empty() ? "" : "/") + part;
    CHECK(list_packages(place, name, text));
    return append_to_list(vendor, text);
  }

  // Where in its repository the module is. Of what isn't there, or no directory, nothing is staged.
  Result<std::string> module_in(const std::string& files) {
    std::string path = source_.ref.get_string("subdirectory");
    std::smatch match;
    if (std::regex_match(version_, match, version_regex()) && match[2].str() != "v0" &&
        match[2].str() != "v1") {
      const std::string major =
          path.empty() ? match[2].str() : fmt::format("{}/{}", path, match[2].str());
      if (path_exists(files + "/" + major)) path = major;
    }
    std::error_code failed;
    if (fs::is_directory(files + "/" + path, failed))
      return directory_in(files, files, path, false);
    surroundings_.message(Weight::kWarning, fmt::format("{}{} has no directory '{}'",
                                                        where(source_), source_.url, path));
    return surroundings_.directory("nothing");
  }

  // Moves what is in a directory into another one, over what is there but for directories with
  // something in them.
  Status move_into(const std::string& from, const std::string& to) const {
    std::error_code failed;
    std::vector<fs::path> entries;
    for (const fs::directory_entry& entry : fs::directory_iterator(from, failed))
      entries.push_back(entry.path());
    if (failed) return fail_errno(failed.value(), from);
    std::sort(entries.begin(), entries.end());
    for (const fs::path& path : entries) {
      const std::string target = to + "/" + path.filename().string();
      const bool is_directory = fs::is_directory(fs::symlink_status(path, failed));
      const fs::file_status there = fs::symlink_status(target, failed);
      if (is_directory && fs::is_directory(there)) {
        CHECK(move_into(path, target));
        continue;
      }
      if (is_directory && fs::exists(there))
        return error("module-overlap", fmt::format("Destination is not a directory: {}",
                                                   target.substr(top_.size() + 1)));
      if (fs::exists(there) && ::remove(target.c_str()) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST) continue;
        return fail_errno(errno, target);
      }
      if (::rename(path.c_str(), target.c_str()) == 0) continue;
      // A workspace may lie on another file system.
      if (errno != EXDEV) return fail_errno(errno, target);
      fs::copy(path, target, fs::copy_options::recursive | fs::copy_options::copy_symlinks, failed);
      if (failed) return fail_errno(failed.value(), target);
    }
    return {};
  }

  // The line "go VERSION" of the module's go.mod.
  Result<std::optional<std::string>> go_directive(const std::string& place) const {
    const std::string path = place + "/go.mod";
    struct stat info {};
    if (!is_inside(top_, path) || ::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      return std::nullopt;
    const std::string text = TRY(read_file(path));
    for (const std::string_view line : lines_of(text)) {
      if (line.starts_with("go ")) return std::string(line);
    }
    return std::nullopt;
  }

  // Adds the packages of a directory: those with files of Go, in the order in which each directory
  // comes before those in it.
  static Status list_packages(const std::string& place, const std::string& name,
                              std::string& text) {
    std::error_code failed;
    std::vector<std::string> directories;
    bool package = false;
    for (const fs::directory_entry& entry : fs::directory_iterator(place, failed)) {
      const std::string file = entry.path().filename();
      if (entry.is_directory(failed)) {
        if (!entry.is_symlink(failed) && file != ".git") directories.push_back(file);
      } else {
        package = package || file == "go.mod" || file.ends_with(".go");
      }
    }
    if (failed) return fail_errno(failed.value(), place);
    if (package) text += name + "\n";
    std::sort(directories.begin(), directories.end());
    for (const std::string& file : directories)
      CHECK(list_packages(place + "/" + file, name + "/" + file, text));
    return {};
  }

  Status append_to_list(const std::string& vendor, const std::string& text) const {
    const std::string path = vendor + "/modules.txt";
    struct stat info {};
    const bool there = ::lstat(path.c_str(), &info) == 0;
    if (there && !S_ISREG(info.st_mode))
      return error("bad-path", "vendor/modules.txt is no regular file");
    return write_file_atomic(path, there ? TRY(read_file(path)) + text : text, 0644);
  }

  const model::Source& source_;
  Surroundings& surroundings_;
  std::string module_;
  bool old_;
  std::string version_;
  GitWanted wanted_;
  std::string top_;  // where it is staged, without links on the way
};

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  return Module(source, surroundings).track();
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return has_commit(source, surroundings, Module(source, surroundings).wanted());
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return fetch_commit(source, surroundings, Module(source, surroundings).wanted());
}

Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory) {
  return Module(source, surroundings).stage(directory, false);
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  return Module(source, surroundings).stage(directory, true);
}

}  // namespace sluice::sources::go_module
