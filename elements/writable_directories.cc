#include "elements/writable_directories.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/root_paths.h"
#include "store/capture.h"
#include "store/realise.h"

namespace sluice::elements {

void fix_directory_time(const std::string& path) {
  const timespec times[2] = {{store::kFixedMtime, 0}, {store::kFixedMtime, 0}};
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

// Whether `path` lies in one of the directories.
bool WritableDirectories::holds(std::string_view path) const {
  return std::any_of(directories_.begin(), directories_.end(),
                     [&](const Directory& outer) { return is_in(path, outer.path); });
}

Status WritableDirectories::copy_marked(store::Tree& root, std::vector<std::string> marked,
                                        const std::string& directory) {
  // Outer directories come first. What lies in another marked directory is part of that one.
  std::sort(marked.begin(), marked.end());
  for (const std::string& path : marked) {
    // The root itself is read-only as it was asked for, whatever directory it is as well.
    if (path == "/" || holds(path)) continue;
    // The directory where commands begin may lack, but be nothing else.
    if (is_in(directory, path)) CHECK(root.make_directory(directory));
    const model::Digest content = TRY(root.store_directory(cas_, path));
    Directory copy{path,
                   TRY(scratch_.directory(fmt::format("w{}-{}", batch_, directories_.size())))};
    if (content != store::empty_digest()) CHECK(store::copy_out(cas_, content, copy.source));
    fix_directory_time(copy.source);
    directories_.push_back(std::move(copy));
  }
  return {};
}

// Copies what /tmp holds, for one batch to change as it likes: only marked directories in it are
// captured, which are mounted on top.
Status WritableDirectories::copy_temporary(store::Tree& root, const std::string& directory,
                                           sandbox::SandboxRun& run) {
  for (const Directory& writable : directories_) {
    if (!is_in(writable.path, kTemporary)) continue;
    CHECK(root.remove(writable.path));
    CHECK(root.make_directory(writable.path));
  }
  if (is_in(directory, kTemporary) && !holds(directory)) CHECK(root.make_directory(directory));
  const model::Digest content = TRY(root.store_directory(cas_, kTemporary));
  const std::string copy = TRY(scratch_.directory(fmt::format("t{}", batch_)));
  if (content != store::empty_digest()) CHECK(store::copy_out(cas_, content, copy));
  fix_directory_time(copy);
  run.mounts.push_back({copy, std::string(kTemporary), true});
  return {};
}

// Takes the directories out of the root, with the parents that hold nothing else. Gives the topmost
// directories that went, none in another.
Result<std::vector<std::string>> WritableDirectories::take_out(store::Tree& root,
                                                               bool temporary_copied) {
  std::vector<std::string> tops;
  for (auto writable = directories_.rbegin(); writable != directories_.rend(); ++writable) {
    if (temporary_copied && is_in(writable->path, kTemporary)) continue;
    std::string top;
    std::string path = writable->path;
    while (path != "/") {
      if (path != writable->path && !TRY(root.names(path)).empty()) break;
      CHECK(root.remove(path));
      top = path;
      const auto slash = path.rfind('/');
      path = slash == 0 ? "/" : path.substr(0, slash);
    }
    tops.push_back(top);
  }
  std::sort(tops.begin(), tops.end());
  tops.erase(std::unique(tops.begin(), tops.end(),
                         [](const auto& outer, const auto& inner) { return is_in(inner, outer); }),
             tops.end());
  return tops;
}

// Puts an empty directory in the place of each of `tops`, and mounts a skeleton with the
// directories that are wanted below it.
Status WritableDirectories::mount_skeletons(store::Tree& root, const std::vector<std::string>& tops,
                                            const std::string& directory,
                                            sandbox::SandboxRun& run) {
  std::vector<std::string> wanted;
  for (const Directory& writable : directories_) wanted.push_back(writable.path);
  wanted.push_back(directory);
  for (std::size_t i = 0; i < tops.size(); ++i) {
    const std::string& top = tops[i];
    CHECK(root.make_directory(top));
    std::vector<std::string> rest;
    for (const std::string& path : wanted) {
      if (path == top || !is_in(path, top)) continue;
      const std::string relative = path.substr(top == "/" ? 1 : top.size() + 1);
      // A directory that another one lies in comes with that.
      const bool comes_along = std::any_of(
          wanted.begin(), wanted.end(),
          [&](const std::string& other) { return other != path && is_in(other, path); });
      if (comes_along || std::find(rest.begin(), rest.end(), relative) != rest.end()) continue;
      rest.push_back(relative);
    }
    if (rest.empty()) continue;
    const std::string skeleton = TRY(scratch_.skeleton(fmt::format("s{}", i), rest));
    for (const std::string& relative : rest) {
      std::string path = skeleton + "/" + relative;
      for (; path.size() > skeleton.size(); path.erase(path.rfind('/'))) fix_directory_time(path);
    }
    fix_directory_time(skeleton);
    run.mounts.push_back({skeleton, top, false});
  }
  return {};
}

Status WritableDirectories::prepare(store::Tree& root, std::vector<std::string> marked,
                                    const std::string& directory, sandbox::SandboxRun& run) {
  CHECK(copy_marked(root, std::move(marked), directory));
  const bool temporary_copied = run.own_temporary && !holds(kTemporary);
  if (temporary_copied) CHECK(copy_temporary(root, directory, run));
  const auto tops = TRY(take_out(root, temporary_copied));
  CHECK(mount_skeletons(root, tops, directory, run));
  for (const Directory& writable : directories_)
    run.mounts.push_back({writable.source, writable.path, true});
  const bool in_skeleton = std::any_of(
      tops.begin(), tops.end(), [&](const std::string& top) { return is_in(directory, top); });
  if (directory != "/" && !holds(directory) && !in_skeleton) CHECK(root.make_directory(directory));
  return {};
}

Status WritableDirectories::capture(store::Tree& root, store::ImportOptions options,
                                    const std::function<bool(std::string_view path)>& dropped) {
  options.consume = true;
  for (const Directory& writable : directories_) {
    CHECK(root.make_directory(writable.path));
    if (dropped(writable.path)) continue;
    options.shown = writable.path;
    const model::Digest captured = TRY(store::capture(cas_, writable.source, options));
    CHECK(root.merge(captured, writable.path));
  }
  return {};
}

}  // namespace sluice::elements
