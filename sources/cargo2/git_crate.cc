#include "sources/cargo2/git_crate.h"

#include <cerrno>
#include <filesystem>

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "sources/cargo2/manifest.h"
#include "sources/crates.h"
#include "sources/git_checkout.h"
#include "store/downloads.h"

namespace sluice::sources::cargo2 {

namespace fs = std::filesystem;

namespace {

constexpr const char* kManifest = "Cargo.toml";

std::string mirror_path(const model::Source& source, Surroundings& surroundings,
                        const Crate& crate) {
  std::string repo = crate.repo;
  if (repo.ends_with(".git")) repo.resize(repo.size() - 4);
  return store::mirror_directory(surroundings.settings(), source.kind, repo) + ".git";
}

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// What a pattern of shells matches.
std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_NOESCAPE, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

// A directory's name for a pattern: itself, whatever characters it has.
std::string without_patterns(const std::string& directory) {
  std::string out;
  for (const char c : directory)
    out += c == '*' || c == '?' || c == '[' ? std::string{'[', c, ']'} : std::string(1, c);
  return out;
}

}  // namespace

GitCrate::GitCrate(const model::Source& source, Surroundings& surroundings, const Crate& crate)
    : source_(source), surroundings_(surroundings), crate_(crate), git_(source, surroundings),
      mirror_(git_, mirror_path(source, surroundings, crate)) {}

tl::unexpected<Error> GitCrate::error(std::string reason, std::string_view message) const {
  return source_error(source_, std::move(reason), fmt::format("{}{}", where(source_), message));
}

Result<bool> GitCrate::has_it() const {
  if (!TRY(is_there())) return false;
  return mending_ ? mirror_.is_readable(crate_.commit) : true;
}

Status GitCrate::fetch() {
  CHECK(check_crate(source_, crate_));
  if (!is_commit(crate_.commit)) {
    return error("bad-ref", fmt::format("The ref of crate {} {} is no commit: '{}'", crate_.name,
                                        crate_.version, crate_.commit));
  }
  if (TRY(has_it())) return {};
  const CrateRepository repository = repository_of(source_, crate_.repo);
  return try_urls(git_, repository.fetched, repository.urls, "Fetching from",
                  [&](const std::string& url) { return fetch_from(url); });
}

Status GitCrate::fetch_from(const std::string& url) {
  const UniqueFd lock = TRY(GitMirror(git_, mirror_.path()).open());
  if (TRY(has_it())) return {};
  if (mending_) mirror_.warn_damaged();
  mended_ = true;
  const auto not_fetched = [&](const ToolRun& run) {
    auto failed = git_.failed(run, fmt::format("failed to fetch from {}", url));
    failed.value().domain = "source";
    if (!is_refusal(run)) failed.value().reason = kFetchFailed;
    return failed;
  };
  // The commit is asked for alone, then, of a server that has no such answers, everything.
  auto ended = TRY(mirror_.fetch(
      url, {.refspecs = {fmt::format("+{}:{}", crate_.commit, GitMirror::kept_name(crate_.commit))},
            .depth = 1,
            .again = mending_}));
  if (ended.silent || is_refusal(ended)) return not_fetched(ended);
  if (TRY(has_it())) return {};
  ended = TRY(mirror_.fetch(url, {.refspecs = GitMirror::branches_and_tags(), .again = mending_}));
  if (ended.status != 0) return not_fetched(ended);
  if (TRY(has_it())) return {};
  return error("ref-not-found", fmt::format("{} not found in remote {}", crate_.commit, url));
}

Status GitCrate::stage(const std::string& vendor) {
  CHECK(fetch());
  CHECK(make_directories(vendor));
  const std::string place = fmt::format("{}/{}", vendor, crate_.full_name());
  if (path_exists(place)) return twice(source_, crate_);
  const std::string directory = TRY(surroundings_.directory("crate"));
  std::string package;
  const auto attempt = [&]() -> Status {
    package = TRY(package_in(directory));
    return {};
  };
  const auto mend = [&]() -> Result<bool> {
    mending_ = true;
    mended_ = false;
    CHECK(fetch());
    mending_ = false;
    return mended_;
  };
  CHECK(with_mended_mirror(directory, attempt, mend));
  const std::string checksum = package + "/.cargo-checksum.json";
  CHECK(remove_tree(checksum));
  CHECK(write_file_atomic(checksum, R"({"files": {}, "package": null})", 0644));
  if (::rename(package.c_str(), place.c_str()) != 0) return fail_errno(errno, place);
  return {};
}

Result<std::string> GitCrate::package_in(const std::string& directory) {
  CHECK(begin_checkout(git_, mirror_, crate_.commit, directory));
  const std::string path = fmt::format("{}/{}", directory, kManifest);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return error("no-manifest", fmt::format("Crate '{}': {} of {} has no file {}", crate_.name,
                                            crate_.commit, crate_.repo, kManifest));
  }
  const auto read = [&](const std::string& file) -> Result<Toml> {
    const std::string text = TRY(read_file(file));
    auto manifest = read_toml(text);
    if (manifest) return manifest;
    return source_error(
        source_, "malformed-manifest",
        fmt::format("{}Crate '{}': malformed {} in {}", where(source_), crate_.name,
                    fs::path(file).lexically_relative(directory).string(), crate_.commit),
        manifest.error().message);
  };
  const Toml root = TRY(read(path));
  const Toml* workspace = root.find_table("workspace");
  std::string package = directory;
  if (package_name(root) != crate_.name) {
    if (workspace == nullptr) {
      return error("no-package", fmt::format("Crate '{}' not found in root manifest. No workspaces "
                                             "found.",
                                             crate_.name));
    }
    package = TRY(member_in(directory, root));
  }
  if (package == directory) {
    CHECK(add_objects(git_, mirror_, directory, crate_.commit + "\n", "the commit"));
    CHECK(write_file_atomic(directory + "/.git/shallow", crate_.commit + "\n", 0644));
    CHECK(end_checkout(git_, mirror_, crate_.commit, directory, true));
  }
  if (workspace == nullptr) return package;
  const std::string file = fmt::format("{}/{}", package, kManifest);
  Toml manifest = TRY(read(file));
  if (auto done = inherit(manifest, *workspace); !done)
    return error(done.error().reason,
                 fmt::format("Crate '{}': {}", crate_.name, done.error().message));
  CHECK(write_file_atomic(file, write_toml(manifest), 0644));
  return package;
}

// Only what is really in the repository counts, whatever its links and patterns lead to.
Result<std::string> GitCrate::member_in(const std::string& directory, const Toml& root) const {
  const Toml* members = root.find_table("workspace")->find("members");
  const std::string top = fs::canonical(directory).string();
  std::error_code failed;
  std::string found;
  for (const Toml& member : members != nullptr ? members->items : std::vector<Toml>()) {
    if (!member.is_text() || member.text.starts_with('/')) continue;
    const std::string pattern =
        fmt::format("{}/{}/{}", without_patterns(top), member.text, kManifest);
    for (const std::string& match : matches_of(pattern)) {
      const std::string path = fs::path(match).parent_path().lexically_normal().string();
      const bool inside = path.starts_with(top + '/') && fs::canonical(path, failed) == path &&
                          fs::is_regular_file(fs::symlink_status(match, failed));
      if (!inside) continue;
      const std::string text = TRY(read_file(match));
      const auto manifest = read_toml(text);
      if (manifest && package_name(*manifest) == crate_.name) found = path;
    }
  }
  if (!found.empty()) return found;
  return error(
      "no-package",
      fmt::format("Crate '{}' neither found in root nor workspace manifests.", crate_.name));
}

}  // namespace sluice::sources::cargo2
