#include "store/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "store/artifact.h"
#include "store/fs.h"
#include "store/measure.h"
#include "store/refs.h"
#include "store/sources.h"

namespace sluice::store {

namespace {

Status check_objects(const Cas& cas, CheckReport& report) {
  const std::string place = cas.cachedir() + "/cas/objects";
  auto top = fs::open_directory(place, true);
  if (!top) return forward(top);
  auto folders = fs::list(top->get());
  if (!folders) return forward(folders);
  for (const auto& [folder, type] : *folders) {
    UniqueFd fd(::openat(top->get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
      report.corrupt.push_back("cas/objects/" + folder);
      continue;
    }
    auto names = fs::list(fd.get());
    if (!names) return forward(names);
    for (const auto& [name, kind] : *names) {
      ++report.objects;
      UniqueFd file(::openat(fd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME));
      if (!file) file.reset(::openat(fd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      const auto digest = file ? digest_of_fd(file.get()) : Result<Digest>(Digest{});
      if (!digest || digest->hash != folder + name) report.corrupt.push_back("cas/objects/" + folder + "/" + name);
    }
  }
  return {};
}

void check_tree(const Cas& cas, const std::string& ref, const Digest& root, CheckReport& report) {
  const auto walked = for_each_blob(cas, root, [&](const BlobUse& use) {
    // Contained, with the size that the tree says.
    if (cas.contains(use.digest) || (use.directory && use.digest == empty_digest())) return Status{};
    return Status(fail("cas", "missing-blob", use.digest.hash));
  });
  if (!walked) report.incomplete.push_back(fmt::format("{}: {}", ref, walked.error().message));
}

}  // namespace

Result<CheckReport> verify_all(const Cas& cas_in) {
  auto cas = Cas::open(cas_in.cachedir(), {.keep_access_times = true});
  if (!cas) return forward(cas);
  CheckReport report;
  if (auto done = check_objects(*cas, report); !done) return forward(done);

  Artifacts artifacts(*cas);
  auto refs = artifacts.list();
  if (!refs) return forward(refs);
  for (const std::string& ref : *refs) {
    ++report.refs;
    auto info = artifacts.peek(ref);
    if (!info) return forward(info);
    const std::string shown = "artifacts/refs/" + ref;
    if (!*info) {
      report.corrupt.push_back(shown);
      continue;
    }
    if (!(*info)->files.empty()) check_tree(*cas, shown, (*info)->files, report);
    for (const Digest& missing : artifacts.missing(**info)) {
      if (missing == (*info)->files) continue;
      report.incomplete.push_back(fmt::format("{}: {}", shown, missing.empty() ? "no metadata" : missing.hash));
    }
  }
  for (const auto& [place, levels] : {std::pair{"elementsources", 0u}, std::pair{"source_protos", 1u}}) {
    auto files = list_refs(*cas, place, levels);
    if (!files) return forward(files);
    for (const RefFile& file : *files) {
      ++report.refs;
      const std::string path = fmt::format("{}/{}", place, file.path);
      auto root = peek_source(*cas, path);
      if (!root) return forward(root);
      if (*root) {
        check_tree(*cas, path, **root, report);
      } else {
        report.corrupt.push_back(path);
      }
    }
  }
  return report;
}

}  // namespace sluice::store
