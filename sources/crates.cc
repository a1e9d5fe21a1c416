#include "sources/crates.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "store/directory.h"
#include "store/downloads.h"
#include "wire/helper.h"

namespace sluice::sources {

namespace fs = std::filesystem;

namespace {

std::string archive_directory(const model::Source& source, Surroundings& surroundings,
                              const Crate& crate) {
  return fmt::format(
      "{}/{}/{}",
      store::mirror_directory(surroundings.settings(), source.kind, source.original_url),
      crate.name, crate.version);
}

Result<std::string> download(const model::Source& source, Surroundings& surroundings,
                             const Crate& crate, const std::vector<std::string>& urls,
                             std::string_view text) {
  CHECK(check_crate(source, crate));
  Download download{{}, archive_directory(source, surroundings, crate), crate.sha, {}};
  for (const std::string& url : urls.empty() ? std::vector{source.url} : urls)
    download.urls.push_back(url + archive_name(crate));
  return download_file(source, surroundings, download, text);
}

tl::unexpected<Error> malformed(const model::Source& source, std::string detail) {
  return source_error(source, "malformed-lock",
                      fmt::format("{}Malformed Cargo.lock file at: {}", where(source),
                                  source.config.get_string("cargo-lock", "Cargo.lock")),
                      std::move(detail));
}

}  // namespace

Status check_crate(const model::Source& source, const Crate& crate) {
  for (const std::string& part : {crate.name, crate.version}) {
    if (store::valid_entry_name(part) && part.front() != '-') continue;
    return source_error(
        source, "bad-crate",
        fmt::format("{}'{}' is no name or version of a crate", where(source), part));
  }
  return {};
}

Result<std::string> path_below(const model::Source& source, const std::string& directory,
                               std::string_view key, const std::string& path) {
  int depth = 0;
  bool leaves = fs::path(path).is_absolute();
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") --depth;
    if (part != ".." && part != "." && !part.empty()) ++depth;
    leaves = leaves || depth < 0;
  }
  if (leaves || path.empty() || path.find('\0') != std::string::npos) {
    return source_error(
        source, "bad-path",
        fmt::format("{}{} '{}' leads out of the sources", where(source), key, path));
  }
  return (fs::path(directory) / path).lexically_normal().string();
}

Result<Toml> read_lock(const model::Source& source, Surroundings& surroundings) {
  const std::string name = source.config.get_string("cargo-lock", "Cargo.lock");
  const std::string own = TRY(previous_of(source, surroundings));
  const std::string path = TRY(path_below(source, own, "cargo-lock", name));
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  const std::string root = fs::canonical(own).string() + '/';
  // A link may lead to another file of the sources, and nowhere else.
  if (error || !fs::is_regular_file(real, error) || !real.string().starts_with(root)) {
    return source_error(source, "missing-lock",
                        fmt::format("{}Failed to find Cargo.lock file at: {}", where(source), name),
                        "It is looked for in what the sources before this one in the list stage, "
                        "and isn't there.");
  }
  const std::string text = TRY(read_file(real));
  auto lock = read_toml(text);
  if (!lock) return malformed(source, lock.error().message);
  return lock;
}

Result<std::vector<LockedPackage>> locked_packages(const model::Source& source,
                                                   Surroundings& surroundings) {
  const Toml lock = TRY(read_lock(source, surroundings));
  const Toml* list = lock.find("package");
  if (list == nullptr || !list->is_array())
    return malformed(source, "It has no list of packages: [[package]]");
  std::vector<LockedPackage> packages;
  for (const Toml& entry : list->items) {
    const auto text = [&](std::string_view key) {
      const Toml* value = entry.find(key);
      return value != nullptr && value->is_text() ? value->text : std::string();
    };
    if (entry.find("source") == nullptr) continue;
    LockedPackage package{text("name"), text("version"), text("source"), text("checksum")};
    if (package.name.empty() || package.version.empty() || package.origin.empty()) {
      return malformed(source, fmt::format("Package {}, '{}', lacks a name, a version or a source",
                                           packages.size() + 1, package.name));
    }
    CHECK(check_crate(source, {package.name, package.version, {}, {}, {}, {}}));
    packages.push_back(std::move(package));
  }
  return packages;
}

bool has_archive(const model::Source& source, Surroundings& surroundings, const Crate& crate) {
  if (crate.sha.empty() || !check_crate(source, crate)) return false;
  const std::string path = archive_directory(source, surroundings, crate) + '/' + crate.sha;
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Result<std::string> ensure_archive(const model::Source& source, Surroundings& surroundings,
                                   const Crate& crate) {
  if (crate.sha.empty()) {
    return source_error(source, "bad-ref",
                        fmt::format("{}The ref has no SHA-256 of crate {} {}", where(source),
                                    crate.name, crate.version));
  }
  return download(source, surroundings, crate, source.urls, "Downloading");
}

Result<std::string> track_archive(const model::Source& source, Surroundings& surroundings,
                                  const Crate& crate) {
  const std::string path =
      TRY(download(source, surroundings, crate, source.track_urls, "Downloading"));
  return path.substr(path.rfind('/') + 1);
}

Status stage_crate(const model::Source& source, Surroundings& surroundings, const Crate& crate,
                   const std::string& vendor) {
  CHECK(make_directories(vendor));
  if (path_exists(fmt::format("{}/{}", vendor, crate.full_name()))) return twice(source, crate);
  const std::string archive = TRY(ensure_archive(source, surroundings, crate));
  const std::string unpacked = TRY(surroundings.directory("crate"));
  auto done = wire::run_helper(
      {find_program("sluice-unpack"), archive, crate.full_name() + ".crate", unpacked, ""},
      surroundings.stop());
  if (!done) {
    if (done.error().domain == "source") {
      done.error().message =
          fmt::format("{}Error staging source: {}", where(source), done.error().message);
      done.error().provenance = source.provenance;
    }
    return forward(done);
  }
  std::vector<fs::path> tops;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(unpacked, error))
    tops.push_back(entry.path());
  if (tops.size() != 1 || !fs::is_directory(fs::symlink_status(tops.front(), error))) {
    return source_error(source, "bad-crate",
                        fmt::format("{}Error staging source: {}.crate: it is to hold one directory",
                                    where(source), crate.full_name()));
  }
  // Cargo compares no files where it is told of none.
  const std::string checksum = tops.front().string() + "/.cargo-checksum.json";
  CHECK(remove_tree(checksum));
  CHECK(write_file_atomic(checksum, fmt::format(R"({{"package": "{}", "files": {{}}}})", crate.sha),
                          0644));
  const std::string place = fmt::format("{}/{}", vendor, tops.front().filename().string());
  if (path_exists(place)) return twice(source, crate);
  if (::rename(tops.front().c_str(), place.c_str()) != 0) return fail_errno(errno, place);
  return {};
}

tl::unexpected<Error> twice(const model::Source& source, const Crate& crate) {
  return source_error(
      source, "crate-twice",
      fmt::format("{}This project requests crate {} {} from multiple sources, which is "
                  "incompatible with vendoring since cargo does not support it.",
                  where(source), crate.name, crate.version));
}

}  // namespace sluice::sources
