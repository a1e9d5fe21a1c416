#include "loader/ref_writer.h"

#include <cerrno>
#include <climits>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/sha256.h"
#include "base/try.h"
#include "loader/yaml.h"
#include "yaml/splice.h"

namespace sluice::loader {

namespace {

tl::unexpected<Error> cannot_save(const std::string& path, std::string reason,
                                  std::string_view why) {
  return fail("source", std::move(reason),
              fmt::format("Error saving source reference to '{}': {}", path, why));
}

Result<wire::RefFile> write_file_refs(const std::vector<const wire::RefEdit*>& edits) {
  // A file that is a symbolic link stays one: what it leads to is written.
  std::string path = edits.front()->file;
  if (char* resolved = ::realpath(path.c_str(), nullptr)) {
    path = resolved;
    std::free(resolved);
  }
  if (path.empty() || path.front() != '/')
    return cannot_save(path, "save-ref-error", "it is no absolute path");
  UniqueFd lock;
  // The lock lets one process at a time write refs in a directory, be it of another session.
  if (auto locked = lock_for("refs", path.substr(0, path.rfind('/') + 1))) {
    lock = std::move(*locked);
  } else {
    return cannot_save(path, "save-ref-error", locked.error().message);
  }
  std::string text;
  std::string hash;
  mode_t mode = 0666;
  if (struct stat info{}; ::stat(path.c_str(), &info) == 0) {
    auto read = read_file(path);
    if (!read) return cannot_save(path, "save-ref-error", read.error().message);
    text = std::move(*read);
    hash = sha256_hex(text);
    mode = info.st_mode & 0777;
  } else if (errno != ENOENT) {
    return cannot_save(path, "save-ref-error", fail_errno(errno, path).value().message);
  }
  bool done = true;
  for (const wire::RefEdit* edit : edits) {
    const auto there = value_at(text, edit->path);
    done = done && there && *there == edit->ref;
  }
  if (done) return wire::RefFile{path, hash, hash};
  if (hash != edits.front()->hash) {
    return cannot_save(path, "ref-file-changed",
                       "the file was changed after it was loaded; it is left as it is");
  }
  for (const wire::RefEdit* edit : edits) {
    auto changed = splice(text, edit->path, edit->ref);
    if (!changed) return cannot_save(path, "save-ref-error", changed.error().message);
    text = std::move(*changed);
  }
  if (auto written = write_file_atomic(path, text, mode); !written)
    return cannot_save(path, "save-ref-error", written.error().message);
  return wire::RefFile{path, hash, sha256_hex(text)};
}

}  // namespace

wire::WriteRefsResult write_refs(const std::vector<wire::RefEdit>& edits) {
  wire::WriteRefsResult result;
  std::vector<bool> taken(edits.size());
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (taken[i]) continue;
    std::vector<const wire::RefEdit*> of_file;
    for (std::size_t j = i; j < edits.size(); ++j) {
      if (edits[j].file != edits[i].file) continue;
      taken[j] = true;
      of_file.push_back(&edits[j]);
    }
    auto written = write_file_refs(of_file);
    if (!written) {
      result.error = wire::ErrorBody::from(written.error());
      return result;
    }
    // The file is called as in the request.
    written->file = edits[i].file;
    result.files.push_back(std::move(*written));
  }
  return result;
}

}  // namespace sluice::loader
