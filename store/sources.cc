#include "store/sources.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "store.pb.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/pb.h"
#include "store/refs.h"

namespace sluice::store {

Status write_ref(Cas& cas, const std::string& relative, std::string_view bytes) {
  const std::string path = cas.cachedir() + "/" + relative;
  const std::string temporary = cas.temporary_name();
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd) return fail_errno(errno, temporary);
  auto written = write_all(fd.get(), bytes);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    if (errno == ENOENT) {
      written = make_directories(path.substr(0, path.find_last_of('/')));
      if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
        written = fail_errno(errno, path);
    } else {
      written = fail_errno(errno, path);
    }
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<std::optional<std::string>> read_ref(const Cas& cas, const std::string& relative) {
  const std::string path = cas.cachedir() + "/" + relative;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return fail_errno(errno, path);
  }
  auto bytes = TRY(read_all(fd.get(), std::size_t{64} << 20));
  return std::optional<std::string>(std::move(bytes));
}

bool valid_key(std::string_view key) { return valid_digest({std::string(key), 0}); }

namespace {

Status collect(int directory, const std::string& prefix, unsigned levels,
               std::vector<RefFile>& found) {
  auto names = TRY(fs::list(directory));
  for (const auto& [name, type] : names) {
    const std::string path = prefix.empty() ? name : prefix + "/" + name;
    struct stat info {};
    // The file was removed meanwhile.
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (levels > 0 && S_ISDIR(info.st_mode)) {
      UniqueFd child(
          ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child) continue;
      CHECK(collect(child.get(), path, levels - 1, found));
    } else if (levels == 0 && S_ISREG(info.st_mode) && valid_key(name)) {
      found.push_back({path, fs::to_ns(info.st_mtim)});
    }
  }
  return {};
}

tl::unexpected<Error> bad_source(const std::string& path) {
  return fail("source", "bad-source", fmt::format("{} is not a Source message", path));
}

}  // namespace

Result<std::vector<RefFile>> list_refs(const Cas& cas, const std::string& relative,
                                       unsigned levels) {
  std::vector<RefFile> found;
  auto directory = fs::open_directory(cas.cachedir() + "/" + relative, true);
  if (!directory) {
    if (directory.error().reason == "enoent") return found;
    return forward(directory);
  }
  CHECK(collect(directory->get(), "", levels, found));
  std::stable_sort(found.begin(), found.end(),
                   [](const RefFile& a, const RefFile& b) { return a.mtime_ns < b.mtime_ns; });
  return found;
}

SourceRefs::SourceRefs(Cas& cas, Completeness* complete) : cas_(cas), complete_(complete) {}

Result<std::optional<Digest>> peek_source(const Cas& cas, const std::string& relative) {
  auto bytes = TRY(read_ref(cas, relative));
  if (!bytes) return std::nullopt;
  pb::Source message;
  // A ref that is damaged is a ref that isn't there: it is made again.
  if (!message.ParseFromString(*bytes)) return std::nullopt;
  Digest root = from_pb(message.files());
  if (!valid_digest(root)) return std::nullopt;
  return root;
}

Result<std::optional<Digest>> SourceRefs::lookup(const std::string& path) const {
  auto root = peek_source(cas_, path);
  if (!root || !*root) return root;
  if (!(complete_ != nullptr ? complete_->tree(**root) : tree_is_whole(cas_, **root)))
    return std::nullopt;
  // The ref's time is its order of use; BuildStream goes by the blobs alone.
  ::utimensat(AT_FDCWD, (cas_.cachedir() + "/" + path).c_str(), nullptr, 0);
  return root;
}

Status SourceRefs::put(const std::string& path, const Digest& root) {
  if (!valid_digest(root)) return bad_source(path);
  pb::Source message;
  to_pb(root, message.mutable_files());
  return write_ref(cas_, path, message.SerializeAsString());
}

namespace {

Result<std::string> element_path(std::string_view key) {
  if (!valid_key(key)) return fail("source", "bad-key", fmt::format("'{}' is not a key", key));
  return fmt::format("elementsources/{}", key);
}

Result<std::string> source_path(std::string_view kind, std::string_view key) {
  if (!valid_entry_name(kind) || !valid_key(key)) {
    return fail("source", "bad-key", fmt::format("'{}/{}' is not the key of a source", kind, key));
  }
  return fmt::format("source_protos/{}/{}", kind, key);
}

}  // namespace

Result<std::optional<Digest>> SourceRefs::lookup_element(std::string_view sources_key) const {
  auto path = TRY(element_path(sources_key));
  return lookup(path);
}

Result<std::optional<Digest>> SourceRefs::lookup_source(std::string_view kind,
                                                        std::string_view key) const {
  auto path = TRY(source_path(kind, key));
  return lookup(path);
}

Result<std::optional<std::string>> SourceRefs::element_message(std::string_view sources_key) const {
  auto path = TRY(element_path(sources_key));
  return read_ref(cas_, path);
}

Result<Digest> SourceRefs::decode(const std::string& bytes) {
  pb::Source message;
  if (!message.ParseFromString(bytes)) return bad_source("It");
  Digest root = from_pb(message.files());
  if (!valid_digest(root)) return bad_source("It");
  return root;
}

Status SourceRefs::adopt_element(std::string_view sources_key, const std::string& bytes) {
  auto path = TRY(element_path(sources_key));
  auto root = decode(bytes);
  if (!root) return bad_source("What is to be " + path);
  if (!(complete_ != nullptr ? complete_->tree(*root) : tree_is_whole(cas_, *root))) {
    return fail("cas", "missing-blob",
                fmt::format("The sources {} are {}, which is not wholly in the store", sources_key,
                            root->hash));
  }
  return write_ref(cas_, path, bytes);
}

Status SourceRefs::store_element(std::string_view sources_key, const Digest& root) {
  auto path = TRY(element_path(sources_key));
  return put(path, root);
}

Status SourceRefs::store_source(std::string_view kind, std::string_view key, const Digest& root) {
  auto path = TRY(source_path(kind, key));
  return put(path, root);
}

}  // namespace sluice::store
