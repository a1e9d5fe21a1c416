#include "elements/build.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "elements/integration_cache.h"
#include "elements/makeflags.h"
#include "model/source_kinds.h"
#include "sandbox/memory_limit.h"
#include "store/capture.h"
#include "store/complete.h"
#include "store/key_inputs.h"
#include "store/sources.h"
#include "yaml/dump.h"

namespace sluice::elements {

using sandbox::Command;
using sandbox::kTokensInside;
using sandbox::SandboxLimits;

namespace {

// Holds a script that sets variables, until that begins.
constexpr const char* kScriptVariable = "SLUICE_SCRIPT";

constexpr std::string_view kTemporary = "/tmp";

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return parts;
}

bool below(std::string_view path, std::string_view directory) {
  if (path == directory || directory == "/") return true;
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
         path[directory.size()] == '/';
}

// "/a/b/" and "//a/b" as "/a/b", "/a/../b" as "/b". Refuses what isn't absolute or leads out of the
// root.
Result<std::string> normal_path(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return fail("sandbox", "bad-path", fmt::format("'{}' is not an absolute path", path));
  }
  std::string out;
  for (const std::string& part : components(path)) {
    if (part == ".") continue;
    if (part != "..") {
      out += '/' + part;
    } else if (!out.empty()) {
      out.resize(out.rfind('/'));
    } else {
      return fail("sandbox", "bad-path", fmt::format("'{}' leads out of the root", path));
    }
  }
  return out.empty() ? "/" : out;
}

void fix_times(const std::string& path) {
  const timespec times[2] = {{store::kFixedMtime, 0}, {store::kFixedMtime, 0}};
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

}  // namespace

// What a read-only batch can write, and where that lies.
struct Build::Prepared {
  struct Writable {
    std::string path;    // in the sandbox
    std::string source;  // on disk
  };
  std::vector<Writable> writable;
};

Build::Build(const JobData& data, store::Cas& cas, store::Realiser& realiser, Reporter& reporter,
             Cancel& cancel)
    : data_(data), cas_(cas), realiser_(realiser), scratch_(data.scratch), reporter_(reporter),
      cancel_(cancel), root_(std::in_place, cas),
      staging_(std::make_unique<Staging>(cas, reporter, data.element.fatal_warnings)),
      environment_(data.body.environment) {}

Build::~Build() = default;

std::string Build::variable(std::string_view name, std::string_view otherwise) const {
  const std::string* value = model::find_string(data_.body.variables, name);
  return value != nullptr ? *value : std::string(otherwise);
}

std::string Build::directory_variable(std::string_view name, std::string_view otherwise) const {
  std::string path = variable(name, otherwise);
  auto normal = normal_path(path);
  return normal ? std::move(*normal) : path;
}

void Build::mark_directory(std::string path) {
  if (std::find(marked_.begin(), marked_.end(), path) == marked_.end())
    marked_.push_back(std::move(path));
}

Status Build::stage(const Selection& selection, std::string_view location) {
  if (auto going = cancel_.check(); !going) return going;
  return staging_->stage(*root_, selection, location);
}

Result<model::Digest> Build::subsandbox(const Selection& selection) {
  store::Tree tree(cas_);
  Staging staging(cas_, reporter_, data_.element.fatal_warnings);
  if (auto staged = staging.stage(tree, selection, "/"); !staged) return forward(staged);
  auto digest = tree.store(cas_);
  if (digest) subsandboxes_.push_back(*digest);
  return digest;
}

Status Build::integrate(const Selection& selection) {
  ShellScript script;
  for (const model::ArtifactRef* artifact : selection) {
    auto data = public_data_with(cas_, *artifact, "integration-commands");
    if (!data) return forward(data);
    const model::Node* bst = *data ? (*data)->find("bst") : nullptr;
    if (bst == nullptr) continue;
    const auto commands = bst->get_strings("integration-commands");
    if (commands.empty()) continue;
    auto environment = environment_of(cas_, *artifact);
    if (!environment) return forward(environment);
    for (const std::string& raw : commands) {
      const std::string command = sandbox::strip(raw);
      script.add({{"sh", "-e", "-c", command}, "/", *environment, command});
    }
  }
  if (script.empty()) return {};

  Reporter::Activity running(reporter_, "Running commands", script.labels(), false,
                             reporter_.sandbox());
  for (const char* directory : {"dev", "proc", "tmp"}) {
    if (auto made = root_->make_directory(directory); !made) return made;
  }
  auto input = root_->store(cas_);
  if (!input) return forward(input);
  IntegrationCache cache(cas_, *input, script, data_.body.sandbox, trust_integrated_);
  auto known = cache.lookup();
  if (!known) return forward(known);
  if (*known) {
    used_integrated_ = true;
    if (JobLog* log = reporter_.log()) log->write((*known)->output);
    auto tree = store::Tree::open(cas_, (*known)->root);
    if (!tree) return forward(tree);
    root_ = std::move(*tree);
    running.success();
    return {};
  }
  const std::uint64_t before = reporter_.log() != nullptr ? reporter_.log()->size() : 0;
  auto code = run_in(*root_, script, false, false);
  if (!code) return forward(code);
  if (*code != 0) return fail("sandbox", "command-failed", "Command failed");
  auto output = root_->store(cas_);
  if (!output) return forward(output);
  const std::string text =
      reporter_.log() != nullptr ? reporter_.log()->read_from(before, 64u << 20) : std::string();
  if (auto remembered = cache.remember(*output, text); !remembered) return remembered;
  running.success();
  return {};
}

bool Build::workspaced() const { return model::has_workspace(data_.body); }

Result<model::Digest> Build::sources_root() {
  if (!data_.job.sources.empty()) return data_.job.sources;
  if (data_.body.sources.empty()) return store::empty_digest();
  // Its files entered the store while keys were made.
  if (workspaced()) return data_.body.sources.front().local_digest;
  store::SourceRefs refs(cas_);
  auto found = refs.lookup_element(data_.element.sources_key);
  if (!found) return forward(found);
  if (!*found) {
    // Local sources entered the store while keys were made; what is missing is their common root.
    const auto local = [](const model::Source& source) {
      return model::traits(source).imported && !source.local_digest.empty();
    };
    if (join_sources_ && std::all_of(data_.body.sources.begin(), data_.body.sources.end(), local))
      return join_sources_();
    return fail("source", "missing-sources",
                fmt::format("The sources of {} are not in the cache; they must be fetched first",
                            data_.element.full_name));
  }
  return **found;
}

model::StringMap Build::command_environment() {
  model::StringMap environment = environment_;
  if (data_.tokens.read < 0) return environment;
  const auto flags = std::find_if(environment.begin(), environment.end(),
                                  [](const auto& entry) { return entry.first == "MAKEFLAGS"; });
  const std::uint32_t tokens = flags == environment.end() ? 0 : tokens_of_makeflags(flags->second);
  if (tokens == 0) return environment;
  flags->second += fmt::format(" --jobserver-auth={},{}", kTokensInside.read, kTokensInside.write);
  if (!std::exchange(tokens_told_, true)) reporter_.tokens(tokens);
  return environment;
}

void Build::show_environment() {
  reporter_.message(Level::kLog,
                    fmt::format("Build environment for element {}", data_.element.name),
                    yaml::dump(environment_));
}

Status Build::stage_sources(std::string_view directory) {
  Reporter::Activity activity(reporter_, "Staging sources");
  if (auto going = cancel_.check(); !going) return going;
  if (auto made = root_->make_directory(directory); !made) return made;
  auto names = root_->names(directory);
  if (!names) return forward(names);
  if (!names->empty()) {
    return fail("element", "staging-not-empty",
                fmt::format("Staging directory '{}' is not empty", directory));
  }
  auto sources = sources_root();
  if (!sources) return forward(sources);
  if (auto merged = last_build(*sources); !merged) {
    return forward(merged);
  } else if (*merged) {
    sources = **merged;
  }
  if (auto merged = root_->merge(*sources, directory); !merged) return merged;
  activity.success();
  return {};
}

// What the last build of the workspace left, with what has changed in the workspace since: unless
// its dependencies are others, or the cache has no build tree of it any more.
Result<std::optional<model::Digest>> Build::last_build(const model::Digest& sources) {
  const std::optional<model::Digest> nothing;
  if (!workspaced()) return nothing;
  const std::string key = data_.body.sources.front().config.get_string("last_build");
  if (key.empty()) return nothing;
  store::Artifacts artifacts(cas_);
  auto last = artifacts.lookup(data_.element.project, data_.element.name, key);
  if (!last) return forward(last);
  if (!*last || (*last)->buildtree.empty() || (*last)->sources.empty()) return nothing;
  if (!artifacts.tree_complete((*last)->buildtree) || !artifacts.tree_complete((*last)->sources))
    return nothing;
  const auto& before = (*last)->build_deps;
  const auto& now = data_.job.dependencies;
  const bool same = std::equal(
      before.begin(), before.end(), now.begin(), now.end(), [](const auto& one, const auto& other) {
        return store::artifact_ref(one.project, one.element, one.key) ==
               store::artifact_ref(other.project, other.element, other.key);
      });
  if (!same) return nothing;
  reporter_.message(Level::kInfo, "Incremental build");
  auto tree = store::Tree::open(cas_, (*last)->buildtree);
  if (!tree) return forward(tree);
  if (auto applied = tree->apply_changes((*last)->sources, sources); !applied)
    return forward(applied);
  auto digest = tree->store(cas_);
  if (!digest) return forward(digest);
  return std::optional<model::Digest>(std::move(*digest));
}

Result<bool> Build::has_command(const store::Tree& root, const std::string& command,
                                const model::StringMap& environment) {
  // Follows symbolic links inside of the root, as the sandbox will.
  const auto resolves = [&](const std::string& path) -> Result<bool> {
    std::vector<std::string> pending = components(path);
    std::reverse(pending.begin(), pending.end());
    std::vector<std::string> at;
    unsigned links = 0;
    while (!pending.empty()) {
      const std::string part = pending.back();
      pending.pop_back();
      if (part == ".") continue;
      if (part == "..") {
        if (!at.empty()) at.pop_back();
        continue;
      }
      at.push_back(part);
      std::string joined;
      for (const auto& name : at) joined += '/' + name;
      auto entry = root.find(joined);
      if (!entry) return false;
      if (!*entry) return false;
      if ((*entry)->type != store::EntryType::kSymlink) continue;
      if (++links > 40) return false;
      at.pop_back();
      if ((*entry)->target.starts_with('/')) at.clear();
      auto target = components((*entry)->target);
      pending.insert(pending.end(), target.rbegin(), target.rend());
    }
    return true;
  };
  if (command.starts_with('/')) return resolves(command);
  const std::string* path = model::find_string(environment, "PATH");
  std::string_view rest =
      path != nullptr ? std::string_view(*path) : std::string_view("/bin:/usr/bin");
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    auto found = resolves(std::string(rest.substr(0, colon)) + "/" + command);
    if (!found || *found) return found;
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return false;
}

Result<bool> Build::has_own_temporary(const store::Tree& root, std::string_view directory) {
  if (directory != kTemporary && below(directory, kTemporary)) return true;
  auto names = root.names(kTemporary);
  if (!names) return forward(names);
  return !names->empty();
}

// What /tmp holds, for one batch to change as it likes: only marked directories in it are captured,
// which are mounted on top.
Status Build::copy_temporary(store::Tree& root, SandboxRun& run, const std::string& directory,
                             const Prepared& prepared) {
  for (const auto& writable : prepared.writable) {
    if (!below(writable.path, kTemporary)) continue;
    if (auto removed = root.remove(writable.path); !removed) return removed;
    if (auto made = root.make_directory(writable.path); !made) return made;
  }
  const auto holds = [&](const Prepared::Writable& writable) {
    return below(directory, writable.path);
  };
  if (below(directory, kTemporary) &&
      std::none_of(prepared.writable.begin(), prepared.writable.end(), holds)) {
    if (auto made = root.make_directory(directory); !made) return made;
  }
  auto content = root.store_directory(cas_, kTemporary);
  if (!content) return forward(content);
  auto copy = scratch_.directory(fmt::format("t{}", runs_));
  if (!copy) return forward(copy);
  if (*content != store::empty_digest()) {
    if (auto copied = store::copy_out(cas_, *content, *copy); !copied) return copied;
  }
  fix_times(*copy);
  run.mounts.push_back({*copy, std::string(kTemporary), true});
  return {};
}

// The marked directories lie in the scratch. The root that is realised must not
// depend on their names, or every element would realise one of its own: it only gets
// the first component that it lacks ("/buildstream"), on which a skeleton with the
// rest is bound, and on that the directory itself. They are taken out of `root`, which
// gets them back with what the commands made of them.
Status Build::prepare_read_only(store::Tree& root, SandboxRun& run, const std::string& directory,
                                Prepared& prepared) {
  // Outer ones first. What lies in another marked directory is part of that one.
  std::vector<std::string> paths = marked_;
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    // The root itself is read-only as it was asked for, whatever directory it is as well.
    if (path == "/") continue;
    if (std::any_of(prepared.writable.begin(), prepared.writable.end(),
                    [&](const auto& outer) { return below(path, outer.path); })) {
      continue;
    }
    // Where commands begin may lack, but be nothing else.
    if (below(directory, path)) {
      if (auto made = root.make_directory(directory); !made) return made;
    }
    auto content = root.store_directory(cas_, path);
    if (!content) return forward(content);
    auto source = scratch_.directory(fmt::format("w{}-{}", runs_, prepared.writable.size()));
    if (!source) return forward(source);
    Prepared::Writable writable{path, *source};
    if (*content != store::empty_digest()) {
      if (auto copied = store::copy_out(cas_, *content, writable.source); !copied) return copied;
    }
    fix_times(writable.source);
    prepared.writable.push_back(std::move(writable));
  }

  const bool marked_temporary =
      std::any_of(prepared.writable.begin(), prepared.writable.end(),
                  [](const auto& writable) { return below(kTemporary, writable.path); });
  const bool in_copy = run.own_temporary && !marked_temporary;
  if (in_copy) {
    if (auto copied = copy_temporary(root, run, directory, prepared); !copied) return copied;
  }

  // Out of the root, with the parents that hold nothing else.
  std::vector<std::string> tops;
  for (auto writable = prepared.writable.rbegin(); writable != prepared.writable.rend();
       ++writable) {
    if (in_copy && below(writable->path, kTemporary)) continue;
    std::string top;
    std::string path = writable->path;
    while (path != "/") {
      if (path != writable->path) {
        auto names = root.names(path);
        if (!names) return forward(names);
        if (!names->empty()) break;
      }
      if (auto removed = root.remove(path); !removed) return removed;
      top = path;
      const auto slash = path.rfind('/');
      path = slash == 0 ? "/" : path.substr(0, slash);
    }
    tops.push_back(top);
  }
  std::sort(tops.begin(), tops.end());
  tops.erase(std::unique(tops.begin(), tops.end(),
                         [](const auto& outer, const auto& inner) { return below(inner, outer); }),
             tops.end());
  std::vector<std::string> wanted;
  for (const auto& writable : prepared.writable) wanted.push_back(writable.path);
  wanted.push_back(directory);
  for (std::size_t i = 0; i < tops.size(); ++i) {
    const std::string& top = tops[i];
    if (auto made = root.make_directory(top); !made) return made;
    std::vector<std::string> rest;
    for (const std::string& path : wanted) {
      if (path == top || !below(path, top)) continue;
      const std::string relative = path.substr(top == "/" ? 1 : top.size() + 1);
      // What another one lies in comes with it.
      if (std::any_of(wanted.begin(), wanted.end(), [&](const std::string& other) {
            return other != path && below(other, path);
          }))
        continue;
      if (std::find(rest.begin(), rest.end(), relative) == rest.end()) rest.push_back(relative);
    }
    if (rest.empty()) continue;
    auto skeleton = scratch_.skeleton(fmt::format("s{}", i), rest);
    if (!skeleton) return forward(skeleton);
    for (const std::string& relative : rest) {
      std::string path = *skeleton + "/" + relative;
      for (; path.size() > skeleton->size(); path.erase(path.rfind('/'))) fix_times(path);
    }
    fix_times(*skeleton);
    run.mounts.push_back({*skeleton, top, false});
  }
  for (const auto& writable : prepared.writable)
    run.mounts.push_back({writable.source, writable.path, true});

  const auto holds = [&](const Prepared::Writable& writable) {
    return below(directory, writable.path);
  };
  if (directory != "/" && std::none_of(prepared.writable.begin(), prepared.writable.end(), holds) &&
      std::none_of(tops.begin(), tops.end(),
                   [&](const std::string& top) { return below(directory, top); })) {
    if (auto made = root.make_directory(directory); !made) return made;
  }
  return realise(root, run);
}

Status Build::realise(store::Tree& root, SandboxRun& run) {
  auto input = root.store(cas_);
  if (!input) return forward(input);
  if (!realiser_.is_realised(*input)) reporter_.flush();
  auto realised = realiser_.realise(*input);
  if (!realised) return forward(realised);
  run.layers = realised->layers;
  for (auto& lock : realised->locks) lock.release();  // held until this process ends
  return {};
}

Status Build::prepare_writable(store::Tree& root, SandboxRun& run, const std::string& directory,
                               std::string& upper) {
  auto changes = scratch_.directory(fmt::format("upper{}", runs_));
  if (!changes) return forward(changes);
  auto work = scratch_.directory(fmt::format("work{}", runs_));
  if (!work) return forward(work);
  upper = run.upper = *changes;
  run.work = *work;
  fix_times(upper);
  if (directory == "/") return {};
  return root.make_directory(directory);
}

Result<int> Build::run_in(store::Tree& root, const ShellScript& script, bool root_read_only,
                          bool with_marked) {
  ++runs_;
  if (const std::string& socket = data_.body.sandbox.remote_apis_socket; !socket.empty()) {
    return fail("sandbox", "not-supported",
                fmt::format("sandbox: remote-apis-socket ('{}') is not supported yet", socket),
                data_.body.provenance);
  }
  auto present = has_command(root, "sh", script.environment());
  if (!present) return forward(present);
  if (!*present)
    return fail("sandbox", "missing-command", "Staged artifacts do not provide command 'sh'");
  auto narrow = sandbox::narrow_platform(data_.body.sandbox);
  if (!narrow) return forward(narrow);
  auto directory = normal_path(script.directory());
  if (!directory) return forward(directory);
  for (const char* needed : {"dev", "proc", "tmp"}) {
    if (auto made = root.make_directory(needed); !made) return forward(made);
  }
  if (with_marked) {
    for (std::string& path : marked_) {
      auto normal = normal_path(path);
      if (!normal) return forward(normal);
      path = std::move(*normal);
      if (auto made = root.make_directory(path); !made) return forward(made);
    }
  }

  SandboxRun run;
  run.root_read_only = root_read_only;
  run.narrow = *narrow;
  run.argv = {"sh", "-c", "-e", script.text()};
  run.directory = *directory;
  run.environment = script.environment();
  if (script.exports()) {
    // Values belong in no argument list (see environment_arguments()).
    run.argv.back() = fmt::format("eval \"${}\"", kScriptVariable);
    run.environment.emplace_back(kScriptVariable,
                                 fmt::format("unset {}\n{}", kScriptVariable, script.text()));
  }
  if (tokens_told_) run.tokens = data_.tokens;
  run.uid = data_.body.sandbox.build_uid;
  run.gid = data_.body.sandbox.build_gid;
  if (reporter_.log() != nullptr) run.output = reporter_.log()->fd();

  auto own_temporary = has_own_temporary(root, *directory);
  if (!own_temporary) return forward(own_temporary);
  run.own_temporary = *own_temporary;

  Prepared prepared;
  std::string upper;
  model::Digest lower;
  if (root_read_only) {
    if (auto done = prepare_read_only(root, run, *directory, prepared); !done) return forward(done);
  } else {
    if (auto done = prepare_writable(root, run, *directory, upper); !done) return forward(done);
    if (auto done = realise(root, run); !done) return forward(done);
    auto digest = root.digest();
    if (!digest) return forward(digest);
    lower = *digest;
  }
  auto merged = scratch_.directory("merged");
  if (!merged) return forward(merged);
  run.merged = *merged;

  SandboxLimits limits;
  limits.silence = std::chrono::seconds(data_.settings.max_silent_time);
  limits.log = data_.settings.max_log_size;
  limits.clock = [this] { return reporter_.elapsed(); };
  run.temporary = sandbox::temporary_size(data_.settings);

  const std::uint64_t most_memory = data_.settings.max_memory;
  if (auto limited = sandbox::limit_memory(data_.memory_group, most_memory); !limited)
    return forward(limited);

  reporter_.flush();
  const std::uint64_t killed_before = sandbox::killed_for_memory(data_.memory_group);
  auto code = sandbox::run_sandbox(run, limits, cancel_);
  if (!code) return code;
  // Also when the commands went on without them: nobody knows what is missing then.
  if (most_memory > 0 && sandbox::killed_for_memory(data_.memory_group) > killed_before) {
    return fail("sandbox", "max-memory",
                fmt::format("The commands needed more than {} bytes of memory (max-memory of the "
                            "user configuration), and processes of them were killed",
                            most_memory));
  }

  if (root_read_only) {
    for (const auto& writable : prepared.writable) {
      if (auto made = root.make_directory(writable.path); !made) return forward(made);
      if (*code == 0 && cleaned_ && writable.path == directory_variable("build-root")) continue;
      // Every process of the sandbox is gone: the files are ours alone, and needn't be copied.
      store::ImportOptions options;
      options.consume = true;
      options.mtime = workspaced();
      options.shown = writable.path;
      auto captured = store::capture(cas_, writable.source, options);
      if (!captured) return forward(captured);
      if (auto merged = root.merge(*captured, writable.path); !merged) return forward(merged);
    }
  } else {
    store::ImportOptions options;
    options.consume = true;
    options.mtime = workspaced();
    options.shown = "";
    auto captured = store::capture_overlay(cas_, lower, upper, options);
    if (!captured) return forward(captured);
    auto tree = store::Tree::open(cas_, *captured);
    if (!tree) return forward(tree);
    root = std::move(*tree);
    if (*code == 0 && cleaned_) {
      if (auto removed = root.remove(directory_variable("build-root"));
          !removed && removed.error().domain != "virtual-fs")
        return forward(removed);
    }
  }
  return code;
}

Status Build::run(const ShellScript& script, bool root_read_only) {
  if (script.empty()) return {};
  Reporter::Activity activity(reporter_, "Running commands", script.labels(), false,
                              reporter_.sandbox());
  auto code = run_in(*root_, script, root_read_only, true);
  if (!code) return forward(code);
  ran_read_only_ = root_read_only;
  if (*code != 0) return fail("sandbox", "command-failed", "Command failed");
  activity.success();
  return {};
}

void Build::clean_build_root() {
  if (data_.settings.cache_buildtrees == "always" || workspaced()) return;
  const std::string build_root = directory_variable("build-root");
  const std::string install_root = directory_variable("install-root");
  const auto starts = [](const std::string& text, const std::string& prefix) {
    return text.compare(0, prefix.size(), prefix) == 0;
  };
  if (!install_root.empty() &&
      (starts(build_root, install_root) || starts(install_root, build_root)))
    return;
  cleaned_ = !build_root.empty();
}

Result<model::ArtifactRef> Build::cache_artifact(const std::optional<std::string>& collect,
                                                 const Error* failure) {
  Reporter::Activity activity(reporter_, "Caching artifact");
  const auto& body = data_.body;
  store::ArtifactInfo info;
  info.was_workspaced = workspaced();
  info.build_success = failure == nullptr;
  info.build_error = failure == nullptr ? "succeeded" : failure->message;
  info.build_error_details = failure == nullptr ? "" : failure->detail;
  info.strong_key = data_.job.keys.full;
  info.strict_key = data_.job.keys.strict;
  info.weak_key = data_.job.keys.weak;

  if (collect) {
    auto files = root_->store_directory(cas_, *collect);
    if (files) {
      info.files = *files;
    } else if (files.error().domain != "virtual-fs") {
      return forward(files);
    }
  }

  const std::string& trees = data_.settings.cache_buildtrees;
  if (trees == "always" || (trees == "auto" && (failure != nullptr || workspaced()))) {
    // What stayed writable below a root that was not, as BuildStream notes it.
    for (const char* directory : {"dev", "proc", "tmp"}) {
      if (!ran_read_only_) break;
      const auto present = root_->find(directory);
      // A build that failed before its first command has not made them.
      if (!present || !present->has_value()) continue;
      if (auto marked = root_->set_subtree_read_only(directory, false); !marked)
        return forward(marked);
    }
    auto whole = root_->store(cas_);
    if (!whole) return forward(whole);
    info.buildroot = *whole;
    if (const std::string build_root = directory_variable("build-root"); !build_root.empty()) {
      if (auto tree = root_->directory_digest(build_root)) info.buildtree = *tree;
    }
    auto sources = sources_root();
    if (!sources) return forward(sources);
    info.sources = *sources;
    store::ArtifactInfo::SandboxState state;
    if (configured_) {
      state.environment = environment_;
      std::sort(state.environment.begin(), state.environment.end());
    }
    state.working_directory = work_directory_;
    state.marked_directories = marked_;
    state.subsandboxes = subsandboxes_;
    info.sandbox = std::move(state);
  }

  for (const auto& dependency : data_.job.dependencies) {
    info.build_deps.push_back({dependency.project, dependency.element, dependency.key, false});
  }

  store::ArtifactMeta meta;
  meta.public_data = public_data_ ? *public_data_ : body.public_data;
  meta.environment = environment_;
  meta.sandbox_config = store::sandbox_config_node(body.sandbox);
  meta.variables = body.variables;
  if (auto written = store::write_meta(cas_, meta, info); !written) return forward(written);

  if (JobLog* log = reporter_.log()) {
    auto digest = cas_.add_file(log->path());
    if (!digest) return forward(digest);
    const auto slash = log->path().rfind('/');
    info.logs.push_back({log->path().substr(slash + 1), *digest});
  }

  if (!body.key_inputs.empty()) {
    if (auto kept = store::keep_key_inputs(cas_, info.strong_key, body.key_inputs); !kept)
      return forward(kept);
  }
  store::Artifacts artifacts(cas_);
  if (auto committed = artifacts.commit(data_.element.project, data_.element.name, info);
      !committed) {
    return forward(committed);
  }
  activity.success();

  model::ArtifactRef ref;
  ref.project = data_.element.project;
  ref.element = data_.element.name;
  ref.full_name = data_.element.full_name;
  ref.key = info.strong_key;
  ref.weak_key = info.weak_key;
  ref.files = info.files;
  ref.public_data = info.public_data;
  ref.low_diversity_meta = info.low_diversity_meta;
  return ref;
}

}  // namespace sluice::elements
