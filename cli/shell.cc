// `shell`: a command, or an interactive shell, in an element's sandbox, in a session with a
// terminal of its own that is relayed to ours (shell_streams.h). Its root is read-only, and nothing
// of it stays.
#include <cerrno>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "cli/artifacts.h"
#include "cli/format.h"
#include "cli/shell_streams.h"
#include "cli/sources.h"
#include "cli/staging.h"
#include "cli/targets.h"
#include "cli/workbench.h"
#include "cli/workspaces_file.h"
#include "elements/apis_socket.h"
#include "elements/root_paths.h"
#include "sandbox/sandbox.h"
#include "store/realise.h"

namespace sluice::cli {

namespace {

// A sandbox to be: its root, what is bound into it, and what runs there.
struct Plan {
  struct Mount {
    std::string source, target;
  };
  std::vector<Mount> mounts;          // of the host's files and directories, writable
  std::vector<std::string> writable;  // directories of the root of which a private copy is bound
  std::vector<std::string> argv;
  model::StringMap environment;
  std::string directory = "/";
  std::uint32_t uid = 0, gid = 0;
  bool network = false;
  bool narrow = false;  // sandbox::narrow_platform()
};

void set(model::StringMap& map, const std::string& name, std::string value) {
  for (auto& [key, present] : map) {
    if (key == name) {
      present = std::move(value);
      return;
    }
  }
  map.emplace_back(name, std::move(value));
}

std::string prompt_of(const Invocation& invocation, const elements::JobData& data) {
  const std::string key = data.job.keys.full.substr(0, data.settings.key_length);
  if (!invocation.colors) return fmt::format("[{}@{}:${{PWD}}]$ ", key, data.element.full_name);
  const Style sign{.color = "cyan", .dim = 1};
  const Style word{.color = "yellow"};
  return styled("[", sign) + styled(key, {.color = "yellow", .dim = 0}) + styled("@", sign) +
         styled(data.element.full_name, word) + styled(":", sign) + styled("$PWD", word) +
         styled("]$", sign) + " ";
}

// The place for a bind mount in the root: a file or a directory, as what is mounted.
Status make_place(store::Cas& cas, store::Tree& root, const std::string& source,
                  const std::string& target) {
  auto present = root.find(target);
  if (present && *present) return {};
  struct stat info {};
  if (::stat(source.c_str(), &info) != 0) return fail_errno(errno, source);
  if (S_ISDIR(info.st_mode)) return root.make_directory(target);
  const auto slash = target.find_last_of('/');
  if (slash != std::string::npos && slash != 0) {
    CHECK(root.make_directory(target.substr(0, slash)));
  }
  auto empty = TRY(cas.add(""));
  return root.put_file(target, empty, false);
}

Result<int> run(Workbench& bench, store::Tree& root, Plan plan) {
  store::Cas& cas = bench.build().cas();
  for (const char* needed : {"dev", "proc", "tmp"}) {
    CHECK(root.make_directory(needed));
  }
  CHECK(root.make_directory(plan.directory));
  for (const std::string& path : plan.writable) {
    CHECK(root.make_directory(path));
  }
  const bool own_temporary = TRY(elements::has_own_temporary(root, plan.directory));
  if (own_temporary) {
    std::erase_if(plan.writable, [](const std::string& path) {
      return path == "/tmp" || path.starts_with("/tmp/");
    });
    plan.writable.emplace_back("/tmp");
  }
  sandbox::SandboxRun sandbox;
  sandbox.own_temporary = own_temporary;
  unsigned copies = 0;
  for (const std::string& path : plan.writable) {
    auto content = TRY(root.store_directory(cas, path));
    const std::string copy = fmt::format("{}/writable{}", bench.scratch(), copies++);
    CHECK(store::copy_out(cas, content, copy));
    sandbox.mounts.push_back({copy, path, true});
    // The realised root, which other elements may have too, needs the place only.
    CHECK(root.remove(path));
    CHECK(root.make_directory(path));
  }
  for (const auto& mount : plan.mounts) {
    CHECK(make_place(cas, root, mount.source, mount.target));
    sandbox.mounts.push_back({mount.source, mount.target, true, true});
  }
  std::optional<elements::ApisSocket> apis;
  if (!bench.data().body.sandbox.remote_apis_socket.empty()) {
    const std::string directory = bench.scratch() + "/apis";
    CHECK(make_directories(directory));
    apis.emplace(TRY(elements::ApisSocket::open(bench.data(), cas, root, directory, sandbox)));
  }
  auto digest = TRY(root.store(cas));
  auto realised = TRY(bench.realiser().realise(digest));

  sandbox.layers = realised.layers;
  sandbox.merged = bench.scratch() + "/merged";
  CHECK(make_directories(sandbox.merged));
  sandbox.argv = std::move(plan.argv);
  sandbox.directory = plan.directory;
  sandbox.environment = std::move(plan.environment);
  sandbox.uid = plan.uid;
  sandbox.gid = plan.gid;
  sandbox.narrow = plan.narrow;
  sandbox.network = plan.network;
  sandbox.temporary = sandbox::temporary_size(bench.data().settings);
  auto streams = TRY(ShellStreams::open());
  streams->give(sandbox);
  auto started = TRY(sandbox::Sandbox::start(sandbox));
  return streams->serve(*started);
}

// Network, user and files of the host, unless --isolate was given; the command.
Status make_shell(Invocation& invocation, const ShellCommand& command,
                  const model::ShellConfig& config, Plan& plan) {
  if (!command.isolate) {
    plan.network = true;
    plan.uid = ::geteuid();
    plan.gid = ::getegid();
    for (const auto& [name, value] : config.environment) set(plan.environment, name, value);
    for (const auto& name : config.environment_inherit) {
      if (const char* value = std::getenv(name.c_str())) set(plan.environment, name, value);
    }
    for (const auto& file : config.host_files) {
      if (path_exists(file.source)) {
        plan.mounts.push_back({file.source, file.path});
      } else if (!file.optional) {
        invocation.report.warning("Not mounting non-existing host file: " + file.source);
      }
    }
    for (const auto& [host, path] : command.mounts) {
      plan.mounts.push_back({host, path});
    }
  }
  plan.argv = !command.command.empty()  ? command.command
              : !config.command.empty() ? config.command
                                        : std::vector<std::string>{"sh", "-i"};
  return {};
}

Result<store::Tree> buildtree_root(Invocation& invocation, ArtifactTargets& targets, Plan& plan) {
  const ArtifactTarget& target = targets.targets().front();
  if (!target.artifact) {
    return fail("stream", "missing-buildtree-artifact-not-cached",
                "Artifact not cached locally or in available remotes");
  }
  const store::ArtifactInfo& info = *target.artifact;
  if (info.buildroot.empty()) {
    return fail("stream", "missing-buildtree-artifact-created-without-buildtree",
                "Artifact was created without buildtree");
  }
  store::Artifacts artifacts(targets.cas());
  if (!artifacts.tree_complete(info.buildroot)) {
    return fail("stream", "missing-buildtree-artifact-buildtree-not-cached",
                "Buildtree is not cached locally or in available remotes");
  }
  if (!info.build_success) invocation.report.warning("using a buildtree from a failed build.");
  if (info.sandbox) {
    if (!info.sandbox->environment.empty()) plan.environment = info.sandbox->environment;
    plan.writable = info.sandbox->marked_directories;
    if (!info.sandbox->working_directory.empty()) plan.directory = info.sandbox->working_directory;
  }
  return store::Tree::open(targets.cas(), info.buildroot);
}

Status check_dependencies(const ArtifactTargets& targets) {
  std::string missing;
  for (const auto& target : targets.targets()) {
    if (!target.artifact) missing += target.full_name + "\n";
  }
  if (missing.empty()) return {};
  return fail("stream", "shell-missing-deps",
              "Elements need to be built or downloaded before staging a shell environment", {},
              missing);
}

Result<int> shell(Invocation& invocation, const ShellCommand& command) {
  if (!command.use_buildtree && is_artifact_reference(command.target)) {
    CHECK(check_project(load_arguments(invocation.global), true));
    return fail("stream", "only-buildtrees-supported",
                "Only buildtrees are supported with artifact names", {},
                "Use the --build and --use-buildtree options to shell into a cached build tree");
  }
  const char* deps = command.use_buildtree ? "none" : command.build ? "build" : "run";
  auto targets =
      TRY(ArtifactTargets::resolve(invocation, {command.target}, deps, &command.remotes));
  const std::size_t named = targets.loaded() != nullptr ? targets.loaded()->snapshot.targets.size()
                                                        : targets.targets().size();
  if (named != 1) return fail("app", "bad-target", "Exactly one element must be named");
  Plan plan;
  std::optional<store::Tree> root;
  if (command.use_buildtree) {
    root = TRY(buildtree_root(invocation, targets, plan));
  } else
    CHECK(check_dependencies(targets));
  // What isn't in the cache is fetched by a run, as all that works on elements.
  model::Digest sources;
  if (command.build && !root) {
    auto fetched = TRY(Sources::get(
        invocation, {{command.target}, {}, "none", false, true, false, command.remotes}));
    sources = TRY(fetched.root(fetched.selection().front()));
  }
  auto data = TRY(job_data(targets));
  auto bench = TRY(Workbench::open(invocation.report, targets.cas(), std::move(data)));
  elements::Build& build = bench->build();
  if (!root) {
    CHECK(command.build ? bench->stage_build(sources) : bench->stage(true));
    if (command.build) {
      plan.directory = build.commands().work_directory();
      for (const char* variable : {"build-root", "install-root"}) {
        const std::string path = bench->data().variable(variable);
        if (!path.empty() && path != "/") plan.writable.push_back(path);
      }
    }
  }
  if (plan.environment.empty()) plan.environment = build.commands().environment();
  set(plan.environment, "PS1", prompt_of(invocation, bench->data()));
  plan.uid = bench->data().body.sandbox.build_uid;
  plan.gid = bench->data().body.sandbox.build_gid;
  const model::ShellConfig config = targets.loaded() != nullptr
                                        ? targets.loaded()->snapshot.projects.front().shell
                                        : model::ShellConfig{};
  CHECK(make_shell(invocation, command, config, plan));
  store::Tree& tree = root ? *root : build.root().tree();
  if (!TRY(elements::has_command(tree, plan.argv.front(), plan.environment))) {
    return fail("sandbox", "missing-command",
                fmt::format("Staged artifacts do not provide command '{}'", plan.argv.front()));
  }
  plan.narrow = TRY(sandbox::narrow_platform(bench->data().body.sandbox));
  return run(*bench, tree, std::move(plan));
}

}  // namespace

int run_shell(Invocation& invocation, const ShellCommand& given) {
  // What every command would say of the project is no matter of shells.
  if (auto good = check_project(load_arguments(invocation.global), false); !good)
    return failed(invocation, good.error());
  ShellCommand command = given;
  if (command.target.empty()) command.target = default_element(invocation);
  if (command.target.empty())
    return failed(invocation, {"app", "", "Missing argument \"TARGET\".", {}, {}});
  auto code = shell(invocation, command);
  if (code) return *code;
  if (code.error().domain.empty()) return kFailure;  // told already
  // As bst tells it: all that keeps a shell from starting is an error of this command, with its own
  // reason.
  Error error = std::move(code.error());
  error.domain = "app";
  error.message = "Error launching shell: " +
                  (error.provenance.file.empty() ? "" : error.provenance.str() + ": ") +
                  error.message;
  error.provenance = {};
  return failed(invocation, error);
}

}  // namespace sluice::cli
