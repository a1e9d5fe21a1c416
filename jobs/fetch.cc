#include "jobs/fetch.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/sha256.h"
#include "jobs/helper.h"
#include "jobs/mirror.h"
#include "jobs/pull.h"
#include "model/source_kinds.h"
#include "store/complete.h"
#include "store/directory.h"
#include "store/realise.h"
#include "store/sources.h"

namespace sluice::jobs {

namespace {

// Where `directory` leads as BuildStream walks it: ".." is the parent, the root's parent the root, and every step is made.
Result<std::string> walk(store::Tree& tree, const std::string& directory) {
  if (directory.find("..") == std::string::npos) return directory;
  std::vector<std::string> path;
  const auto joined = [&] {
    std::string text;
    for (const std::string& name : path) text += (text.empty() ? "" : "/") + name;
    return text;
  };
  for (std::size_t at = 0; at <= directory.size();) {
    const std::size_t end = std::min(directory.find('/', at), directory.size());
    const std::string name = directory.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (!path.empty()) path.pop_back();
      continue;
    }
    path.push_back(name);
    if (auto made = tree.make_directory(joined()); !made) return forward(made);
  }
  return joined();
}

class Fetch {
 public:
  Fetch(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel), refs_(cas), mirror_(data.settings, reporter, cancel) {}

  Result<model::Digest> run() {
    auto known = refs_.lookup_element(data_.element.sources_key);
    if (!known) return forward(known);
    if (*known) return **known;
    if (!data_.job.remotes.empty()) {
      if (auto pulled = pull_sources(data_, cas_, reporter_, cancel_); !pulled) return forward(pulled);
      known = refs_.lookup_element(data_.element.sources_key);
      if (!known) return forward(known);
      if (*known) return **known;
    }
    // First all of them, then together: what can't be had is said before anything is applied.
    std::vector<model::Digest> roots;
    for (const model::Source& source : data_.body.sources) {
      if (model::traits(source).changes_previous) {
        roots.emplace_back();
        continue;
      }
      auto root = one(source);
      if (!root) return root;
      roots.push_back(*root);
    }
    store::Tree tree(cas_);
    for (std::size_t i = 0; i < roots.size(); ++i) {
      const model::Source& source = data_.body.sources[i];
      auto directory = walk(tree, source.directory);
      if (!directory) return forward(directory);
      if (model::traits(source).changes_previous) {
        if (source.kind != "patch") return cannot_fetch(source);
        if (auto applied = patch(source, tree, *directory); !applied) return forward(applied);
        continue;
      }
      if (auto merged = tree.merge(roots[i], *directory); !merged) return cannot_stage(merged.error().message);
    }
    auto root = tree.store(cas_);
    if (!root) return root;
    if (!data_.element.sources_key.empty()) {
      if (auto stored = refs_.store_element(data_.element.sources_key, *root); !stored) return forward(stored);
    }
    return root;
  }

 private:
  tl::unexpected<Error> cannot_stage(const std::string& why) const {
    return fail("element", "stage-sources-fail", fmt::format("Error trying to stage sources for {}: {}", data_.element.name, why));
  }

  static tl::unexpected<Error> cannot_fetch(const model::Source& source) {
    return source_error(source, "unsupported-source", fmt::format("{}Sources of kind '{}' can't be fetched", where(source), source.kind));
  }

  Result<model::Digest> one(const model::Source& source) {
    if (auto going = cancel_.check(); !going) return forward(going);
    auto known = refs_.lookup_source(source.kind, source.key);
    if (!known) return forward(known);
    if (*known) return **known;
    Result<model::Digest> root;
    if (source.kind == "local") {
      root = local(source);
    } else if (source.kind == "tar") {
      root = tar(source);
    } else if (source.kind == "remote") {
      root = remote(source);
    } else {
      return cannot_fetch(source);
    }
    if (!root) return root;
    if (auto stored = refs_.store_source(source.kind, source.key, *root); !stored) return forward(stored);
    return root;
  }

  // Its tree entered the store when keys were made, all of it, and is not looked through once more unless something turned
  // out to be missing (J45). If it is gone from there, the files must still be the same.
  Result<model::Digest> local(const model::Source& source) {
    const bool there = !source.local_digest.empty() && (data_.job.id.attempt > 1 ? store::tree_is_whole(cas_, source.local_digest)
                                                                               : cas_.touch(source.local_digest));
    if (there) return source.local_digest;
    struct stat info {};
    if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
    const auto slash = source.path.rfind('/');
    auto root = S_ISDIR(info.st_mode)
                    ? store::import_tree(cas_, source.path)
                    : store::import_file_as_tree(cas_, source.path, source.path.substr(slash + 1));
    if (!root) return root;
    if (!source.local_digest.empty() && *root != source.local_digest) {
      return source_error(source, "source-changed",
                          fmt::format("{}{} changed after it was loaded", where(source), source.path));
    }
    return root;
  }

  Result<model::Digest> tar(const model::Source& source) {
    auto archive = mirror_.ensure(source);
    if (!archive) return forward(archive);
    reporter_.flush();
    auto fresh = Scratch(data_.scratch).directory("unpacked");
    if (!fresh) return forward(fresh);
    const std::string directory = *fresh;
    const model::Node* base = source.config.find("base-dir");
    const std::string shown = without_credentials(source.url);
    const std::string url_name = shown.substr(shown.rfind('/') + 1);
    auto done = run_helper({find_program("sluice-unpack"), *archive, url_name, directory,
                            base != nullptr ? base->scalar : std::string("*")}, cancel_);
    if (!done) {
      if (done.error().domain == "source") {
        done.error().message = fmt::format("{}Error staging source: {}", where(source), done.error().message);
        done.error().provenance = source.provenance;
      }
      return forward(done);
    }
    store::ImportOptions options;
    options.consume = true;
    auto root = store::import_tree(cas_, directory, options);
    return root;
  }

  // The file itself, under the last part of its URL or another name.
  Result<model::Digest> remote(const model::Source& source) {
    auto file = mirror_.ensure(source);
    if (!file) return forward(file);
    const model::Node* given = source.config.find("filename");
    const std::string name = given != nullptr ? given->scalar : source.url.substr(source.url.rfind('/') + 1);
    // It was looked at when it was loaded; this is the last place before it names a file.
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
      return source_error(source, "bad-filename", fmt::format("{}'{}' is no name of a file", where(source), name));
    }
    auto root = store::import_file_as_tree(cas_, *file, name);
    const model::Node* executable = source.config.find("executable");
    if (!root || executable == nullptr || (executable->scalar != "true" && executable->scalar != "True")) return root;
    auto tree = store::Tree::open(cas_, *root);
    if (!tree) return forward(tree);
    auto entry = tree->find(name);
    if (!entry) return forward(entry);
    if (auto put = tree->put_file(name, (*entry)->digest, true); !put) return forward(put);
    return tree->store(cas_);
  }

  // What lies at `directory` already is changed by `patch`, as BuildStream calls it; whatever that leaves is what is there then.
  Status patch(const model::Source& source, store::Tree& tree, const std::string& directory) {
    const std::string name = source.config.get_string("path", source.path);
    Reporter::Activity activity(reporter_, fmt::format("Applying local patch: {}", name));
    if (auto made = tree.make_directory(directory); !made) return cannot_stage(made.error().message);
    auto names = tree.names(directory);
    if (!names) return forward(names);
    if (names->empty()) {
      return source_error(source, "patch-no-files", fmt::format("{}Nothing to patch in directory '{}'", where(source), source.directory));
    }
    auto before = tree.store_directory(cas_, directory);
    if (!before) return forward(before);
    reporter_.flush();
    Scratch scratch(data_.scratch);
    auto place = scratch.directory("patched");
    if (!place) return forward(place);
    auto aside = scratch.directory("patch");
    if (!aside) return forward(aside);
    // A copy, so that what is looked at is what is applied.
    auto text = read_file(source.path);
    if (!text) return forward(text);
    if (source.local_digest != model::Digest{sha256_hex(*text), static_cast<std::int64_t>(text->size())}) {
      return source_error(source, "source-changed", fmt::format("{}{} changed after it was loaded", where(source), source.path));
    }
    const std::string file = *aside + "/patch";
    if (auto written = write_file_atomic(file, *text); !written) return written;
    if (auto copied = store::copy_out(cas_, *before, *place); !copied) return copied;
    auto ended = run_tool({"patch", "-p" + source.config.get_string("strip-level", "1"), "-i", file, "-d", *place}, cancel_);
    if (!ended) return forward(ended);
    if (JobLog* log = reporter_.log()) log->write(ended->output);
    if (ended->status != 0) {
      return fail("plugin", "", fmt::format("{}Failed to apply patch {}", where(source), name), source.provenance, ended->output);
    }
    if (::unlink(file.c_str()) != 0) return fail_errno(errno, file);
    store::ImportOptions options;
    options.consume = true;
    auto after = store::import_tree(cas_, *place, options);
    if (!after) return forward(after);
    if (directory.empty()) {
      auto whole = store::Tree::open(cas_, *after);
      if (!whole) return forward(whole);
      tree = std::move(*whole);
    } else {
      if (auto removed = tree.remove(directory); !removed) return removed;
      if (auto merged = tree.merge(*after, directory); !merged) return merged;
    }
    activity.success();
    return {};
  }

  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  Cancel& cancel_;
  store::SourceRefs refs_;
  Mirror mirror_;
};

}  // namespace

Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  return Fetch(data, cas, reporter, cancel).run();
}

}  // namespace sluice::jobs
