// `artifact show | list-contents | log`: what the cache has, read from it directly.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/artifacts.h"
#include "cli/format.h"
#include "cli/log_plan.h"
#include "cli/remotes.h"
#include "model/names.h"
#include "model/remotes.h"
#include "model/states.h"
#include "store/measure.h"
#include "store/quota.h"
#include "store/tree.h"

namespace sluice::cli {

namespace {

std::string painted(const Invocation& invocation, std::string_view text, const Style& style) {
  return invocation.colors ? styled(text, style) : std::string(text);
}

std::string line_of(const std::string& path, const store::Entry& entry, bool detailed) {
  if (!detailed) return path;
  const auto row = [&](std::string_view mode, std::int64_t size) {
    return fmt::format("{}{:<11} {}", mode, size, path);
  };
  switch (entry.type) {
    case store::EntryType::kDirectory: return row("drwxr-xr-x  dir    ", 0);
    case store::EntryType::kSymlink: {
      // A link's size is Python's len(): characters, not bytes.
      std::int64_t characters = 0;
      for (const char c : entry.target)
        characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      return row("lrwxrwxrwx  link   ", characters) + " -> " + entry.target;
    }
    case store::EntryType::kFile: break;
  }
  return row(entry.executable ? "-rwxr-xr-x  exe    " : "-rw-r--r--  reg    ", entry.digest.size);
}

Result<std::string> contents_of(Invocation& invocation, const store::Cas& cas,
                                const ArtifactTarget& target, bool detailed) {
  std::string list;
  if (!target.artifact->files.empty()) {
    CHECK(store::check_unfolded(cas, target.artifact->files));
    auto tree = TRY(store::Tree::open(cas, target.artifact->files));
    CHECK(tree.walk([&](const std::string& path, const store::Entry& entry) -> Status {
      std::string line = line_of(path, entry, detailed);
      // On a terminal an entry has one line, whatever its name.
      if (::isatty(1) == 1) std::replace(line.begin(), line.end(), '\n', '?');
      list += "\n\t" + line;
      return {};
    }));
  }
  if (list.empty()) list = "\n\tThis element has no associated artifacts";
  return painted(invocation, fmt::format("  {}:", target.name), {.color = "cyan", .dim = 1}) +
         painted(invocation, list, {.color = "yellow"}) + "\n";
}

void warn_not_cached(Invocation& invocation, const ArtifactTarget& target) {
  invocation.report.warning(
      fmt::format("{} is not cached", target.ref.empty() ? target.full_name : target.ref));
}

// Shows a text: on a terminal through $PAGER, or less; else on the standard output.
Status page(const Invocation& invocation, const std::string& text) {
  const char* pager = std::getenv("PAGER");
  if (!invocation.interactive || (pager != nullptr && *pager == '\0')) return print(text);
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  SpawnOptions options;
  options.argv = {
      "/bin/sh", "-c",
      pager != nullptr ? pager : "command -v less >/dev/null && exec less -R || exec cat"};
  options.standard_input = read_end.get();
  auto process = TRY(spawn(options));
  read_end.reset();
  // What a build wrote doesn't steer the terminal; its colours stay. The reader may leave before
  // the end.
  (void)write_all(write_end.get(), clean_but_colors(text));
  write_end.reset();
  wait_for(process);
  return {};
}

// A file's name for a target: "core-hello" of core/hello.bst, a reference's parts joined.
std::string log_name(const ArtifactTarget& target) {
  if (target.element) return model::normal_name(target.name);
  std::string name = target.ref;
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

Status write_logs(const store::Cas& cas, const ArtifactTarget& target, const std::string& out) {
  const auto& logs = target.artifact->logs;
  std::string directory = out;
  if (logs.size() > 1) {
    directory += "/" + log_name(target);
    CHECK(make_directories(directory));
  }
  for (const auto& log : logs) {
    auto text = TRY(cas.read(log.digest));
    // The name comes from the artifact: only its last part is ours to use.
    const std::string own = log.name.substr(log.name.find_last_of('/') + 1);
    const std::string name = logs.size() > 1 && !own.empty() && own != "." && own != ".."
                                 ? own
                                 : log_name(target) + ".log";
    CHECK(write_file_atomic(directory + "/" + name, text));
  }
  return {};
}

// What isn't cached here, and is in a cache that its project has.
Result<std::set<std::string>> on_other_machines(Invocation& invocation,
                                                const ArtifactShowCommand& command,
                                                const ArtifactTargets& targets) {
  std::set<std::string> out;
  auto lacking = TRY(targets.not_cached(invocation));
  for (auto& [names, servers] : lacking) {
    const auto remotes = choose_remotes({servers}, command.remotes, true, false);
    if (remotes.empty() || !model::can_pull(remotes.front().artifacts)) continue;
    std::vector<std::string> warnings;
    auto found = TRY(find_artifacts(targets.settings().cachedir, remotes.front().artifacts,
                                    std::move(names), warnings));
    for (const std::string& warning : warnings) invocation.report.warning(warning);
    out.insert(found.begin(), found.end());
  }
  return out;
}

}  // namespace

int run_artifact_show(Invocation& invocation, const ArtifactShowCommand& command) {
  auto targets = ArtifactTargets::resolve(invocation, command.artifacts, command.deps);
  if (!targets) return failed(invocation, targets.error());
  auto elsewhere = on_other_machines(invocation, command, *targets);
  if (!elsewhere) return failed(invocation, elsewhere.error());
  std::string report;
  for (const auto& target : targets->targets()) {
    const bool cached = target.artifact.has_value();
    const bool good = cached && target.artifact->build_success;
    const bool available = !cached && elsewhere->contains(target.ref);
    const Style style{.color = good        ? "magenta"
                               : cached    ? "red"
                               : available ? "green"
                                           : "bright_red"};
    const std::string_view state = good        ? text_of(model::ElementState::kCached)
                                   : cached    ? text_of(model::ElementState::kFailed)
                                   : available ? "available"
                                               : "not cached";
    report += painted(invocation, fmt::format("{:>12}", state), style) + " " +
              painted(invocation, target.full_name, {.color = "yellow"}) + "\n";
  }
  if (auto written = print(report + "\n"); !written) return failed(invocation, written.error());
  return kSuccess;
}

int run_list_contents(Invocation& invocation, const ListContentsCommand& command) {
  auto targets = ArtifactTargets::resolve(invocation, command.artifacts, "none");
  if (!targets) return failed(invocation, targets.error());
  // Elements of one name, of several projects, are one: the last is listed in the place of the
  // first, as BuildStream has it.
  std::vector<const ArtifactTarget*> listed;
  for (const auto& target : targets->targets()) {
    if (!target.artifact) {
      warn_not_cached(invocation, target);
      continue;
    }
    auto same = std::find_if(listed.begin(), listed.end(),
                             [&](const ArtifactTarget* one) { return one->name == target.name; });
    if (same == listed.end()) {
      listed.push_back(&target);
    } else {
      *same = &target;
    }
  }
  std::string report;
  for (const ArtifactTarget* target : listed) {
    auto contents = contents_of(invocation, targets->cas(), *target, command.detailed);
    if (!contents) return failed(invocation, contents.error());
    report += *contents;
  }
  if (report.empty()) {
    return failed(invocation,
                  {"stream", "not-cached", "None of the specified artifacts are cached.", {}, {}});
  }
  if (auto written = print(report + "\n"); !written) return failed(invocation, written.error());
  return kSuccess;
}

int run_artifact_delete(Invocation& invocation, const ArtifactDeleteCommand& command) {
  auto targets = ArtifactTargets::resolve(invocation, command.artifacts, command.deps);
  if (!targets) return failed(invocation, targets.error());
  // Several targets may have a key in common.
  std::set<std::string> refs;
  for (const auto& target : targets->targets()) {
    if (target.ref.empty()) continue;
    refs.insert(target.ref);
    const std::string front = target.ref.substr(0, target.ref.rfind('/') + 1);
    if (target.element) {
      const model::Keys& keys = targets->loaded()->snapshot.elements[*target.element].keys;
      if (!keys.weak.empty()) refs.insert(front + keys.weak);
    } else if (target.artifact && !target.artifact->weak_key.empty()) {
      refs.insert(front + target.artifact->weak_key);
    }
  }
  if (refs.empty()) {  // names that match nothing open no store
    invocation.report.info("No artifacts were removed");
    return kSuccess;
  }
  store::Cas& cas = targets->cas();
  store::Artifacts artifacts(cas);
  bool any = false;
  std::vector<model::Digest> trees, blobs;
  for (const std::string& ref : refs) {
    auto there = artifacts.peek(ref);
    if (!there) return failed(invocation, there.error());
    if (!*there) {
      invocation.report.warning(fmt::format("Could not find ref '{}'", ref));
      continue;
    }
    if (auto removed = artifacts.remove(ref); !removed) return failed(invocation, removed.error());
    invocation.report.info("Removed: " + ref);
    any = true;
    const store::ArtifactInfo& artifact = **there;
    trees.insert(trees.end(),
                 {artifact.files, artifact.buildtree, artifact.sources, artifact.buildroot});
    blobs.insert(blobs.end(),
                 {artifact.public_data, artifact.low_diversity_meta, artifact.high_diversity_meta});
    for (const auto& log : artifact.logs) blobs.push_back(log.digest);
  }
  // The disk gets back what nothing else is made of.
  if (any) {
    auto freed =
        store::free_unused(cas, trees, blobs, store::used_since(cas.cachedir(), ::getpid()));
    if (!freed) return failed(invocation, freed.error());
  }
  if (!any) invocation.report.info("No artifacts were removed");
  return kSuccess;
}

int run_log(Invocation& invocation, const LogCommand& command) {
  auto targets = ArtifactTargets::resolve(invocation, command.artifacts, "none");
  if (!targets) return failed(invocation, targets.error());
  std::string out = command.out;
  if (!out.empty() && ::mkdir(out.c_str(), 0777) != 0) {
    if (errno == EEXIST)
      return failed(
          invocation,
          {"app", "already-exists", fmt::format("Error: {} already exists", out), {}, {}});
    return failed(invocation, fail_errno(errno, out).value());
  }
  for (const auto& target : targets->targets()) {
    if (!target.artifact) {
      warn_not_cached(invocation, target);
      continue;
    }
    if (target.artifact->logs.empty()) {
      invocation.report.warning(fmt::format("{} is cached without log files", target.ref));
      continue;
    }
    if (!out.empty()) {
      if (auto written = write_logs(targets->cas(), target, out); !written)
        return failed(invocation, written.error());
      continue;
    }
    for (const auto& log : target.artifact->logs) {
      auto text = targets->cas().read(log.digest);
      if (!text) return failed(invocation, text.error());
      if (auto shown = page(invocation, *text + "\n"); !shown)
        return failed(invocation, shown.error());
    }
  }
  return kSuccess;
}

int run_artifact_logs_of(Invocation& invocation, const ElementLogCommand& command) {
  const auto plan = plan_logs(invocation, command);
  if (!plan) return failed(invocation, plan.error());
  auto targets = ArtifactTargets::resolve(invocation, plan->without_job(), "none");
  if (!targets) return failed(invocation, targets.error());
  bool all = true;
  for (const auto& target : targets->targets()) {
    if (!target.artifact || target.artifact->logs.empty()) {
      all = false;
      invocation.report.warning(fmt::format(
          "{} has no log: no job of the session has one, and it isn't cached", target.full_name));
      continue;
    }
    const std::string prefix = log_prefix(command, target.full_name);
    for (const auto& log : target.artifact->logs) {
      auto text = targets->cas().read(log.digest);
      if (!text) return failed(invocation, text.error());
      std::string prefixed;
      for (const std::string_view line : split_lines(*text)) {
        prefixed += prefix;
        prefixed += line;
      }
      if (!prefixed.empty() && !prefixed.ends_with('\n')) prefixed += '\n';
      auto shown = prefix.empty() ? page(invocation, prefixed) : print(prefixed);
      if (!shown) return failed(invocation, shown.error());
    }
  }
  return all ? kSuccess : kFailure;
}

}  // namespace sluice::cli
