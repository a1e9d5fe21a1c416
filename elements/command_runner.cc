#include "elements/command_runner.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/integration_cache.h"
#include "elements/makeflags.h"
#include "elements/root_paths.h"
#include "elements/writable_directories.h"
#include "sandbox/memory_limit.h"
#include "store/capture.h"
#include "yaml/dump.h"

namespace sluice::elements {

using sandbox::kTokensInside;
using sandbox::SandboxRun;
using sandbox::ShellScript;

namespace {

// The variable that holds a script which sets variables, until it begins.
constexpr const char* kScriptVariable = "SLUICE_SCRIPT";

// The most bytes that are remembered of what integration commands wrote.
constexpr std::size_t kMaxRememberedOutput = 64u << 20;

}  // namespace

void CommandRunner::mark_directory(std::string path) {
  if (std::find(marked_.begin(), marked_.end(), path) == marked_.end())
    marked_.push_back(std::move(path));
}

void CommandRunner::show_environment() {
  reporter_.message(Level::kLog,
                    fmt::format("Build environment for element {}", data_.element.name),
                    yaml::dump(environment_));
}

model::StringMap CommandRunner::with_tokens(model::StringMap environment) {
  environment = with_jobs(std::move(environment), data_.body, data_.settings.max_jobs);
  if (data_.tokens.read < 0) return environment;
  const auto flags = std::find_if(environment.begin(), environment.end(),
                                  [](const auto& entry) { return entry.first == "MAKEFLAGS"; });
  const std::uint32_t tokens = flags == environment.end() ? 0 : tokens_of_makeflags(flags->second);
  if (tokens == 0) return environment;
  flags->second += fmt::format(" --jobserver-auth={},{}", kTokensInside.read, kTokensInside.write);
  if (!std::exchange(tokens_told_, true)) reporter_.tokens(tokens);
  return environment;
}

Status CommandRunner::add_integration(ShellScript& script, const model::ArtifactRef& artifact) {
  const auto data = TRY(public_data_with(cas_, artifact, "integration-commands"));
  const model::Node* bst = data ? data->find("bst") : nullptr;
  if (bst == nullptr) return {};
  const auto commands = bst->get_strings("integration-commands");
  if (commands.empty()) return {};
  const auto environment = TRY(environment_of(cas_, artifact));
  for (const std::string& raw : commands) {
    const std::string command = sandbox::strip(raw);
    script.add({{"sh", "-e", "-c", command}, "/", environment, command});
  }
  return {};
}

Status CommandRunner::integrate(const Selection& selection) {
  ShellScript script;
  for (const model::ArtifactRef* artifact : selection) CHECK(add_integration(script, *artifact));
  if (script.empty()) return {};
  Reporter::Activity running(reporter_, "Running commands", script.labels(), false,
                             reporter_.sandbox());
  CHECK(make_directories(false));
  const model::Digest input = TRY(root_.tree().store(cas_));
  IntegrationCache cache(cas_, input, script, data_.body.sandbox, trust_remembered_);
  if (const auto known = TRY(cache.lookup())) {
    used_remembered_ = true;
    if (JobLog* log = reporter_.log()) log->write(known->output);
    root_.tree() = TRY(store::Tree::open(cas_, known->root));
    running.success();
    return {};
  }
  JobLog* log = reporter_.log();
  const std::uint64_t before = log != nullptr ? log->size() : 0;
  if (TRY(run_in_root(script, false, false)) != 0)
    return fail("sandbox", "command-failed", "Command failed");
  const model::Digest output = TRY(root_.tree().store(cas_));
  CHECK(cache.remember(
      output, log != nullptr ? log->read_from(before, kMaxRememberedOutput) : std::string()));
  running.success();
  return {};
}

Status CommandRunner::run(const ShellScript& script, bool root_read_only) {
  if (script.empty()) return {};
  Reporter::Activity activity(reporter_, "Running commands", script.labels(), false,
                              reporter_.sandbox());
  const int code = TRY(run_in_root(script, root_read_only, true));
  ran_read_only_ = root_read_only;
  if (code != 0) return fail("sandbox", "command-failed", "Command failed");
  activity.success();
  return {};
}

void CommandRunner::clean_build_root() {
  if (data_.settings.cache_buildtrees == "always" || data_.workspaced()) return;
  const std::string build_root = data_.directory_variable("build-root");
  const std::string install_root = data_.directory_variable("install-root");
  if (!install_root.empty() &&
      (build_root.starts_with(install_root) || install_root.starts_with(build_root)))
    return;
  cleans_build_root_ = !build_root.empty();
}

Result<int> CommandRunner::run_alone(const sandbox::Command& command, bool root_read_only) {
  SandboxRun run;
  run.argv = command.argv;
  run.environment = command.environment;
  ran_read_only_ = root_read_only;
  return run_there(std::move(run), command.directory, root_read_only, true);
}

Result<int> CommandRunner::run_in_root(const ShellScript& script, bool root_read_only,
                                       bool with_marked) {
  SandboxRun run;
  run.argv = {"sh", "-c", "-e", script.text()};
  run.environment = script.environment();
  if (script.exports()) {
    // Values of the environment belong in no argument list, which everybody can read.
    run.argv.back() = fmt::format("eval \"${}\"", kScriptVariable);
    run.environment.emplace_back(kScriptVariable,
                                 fmt::format("unset {}\n{}", kScriptVariable, script.text()));
  }
  return run_there(std::move(run), script.directory(), root_read_only, with_marked);
}

Result<int> CommandRunner::run_there(SandboxRun run, std::string_view directory,
                                     bool root_read_only, bool with_marked) {
  ++runs_;
  CHECK(check_command(run.argv.front(), run.environment));
  if (tokens_told_) run.tokens = data_.tokens;
  run.uid = data_.body.sandbox.build_uid;
  run.gid = data_.body.sandbox.build_gid;
  if (reporter_.log() != nullptr) run.output = reporter_.log()->fd();
  run.temporary = sandbox::temporary_size(data_.settings);
  run.narrow = TRY(sandbox::narrow_platform(data_.body.sandbox));
  run.directory = TRY(normal_root_path(directory));
  CHECK(make_directories(with_marked));
  run.root_read_only = root_read_only;
  run.own_temporary = TRY(has_own_temporary(root_.tree(), run.directory));
  return root_read_only ? run_read_only(run) : run_writable(run);
}

Status CommandRunner::check_command(const std::string& name, const model::StringMap& environment) {
  if (const std::string& socket = data_.body.sandbox.remote_apis_socket; !socket.empty()) {
    return fail("sandbox", "not-supported",
                fmt::format("sandbox: remote-apis-socket ('{}') is not supported yet", socket),
                data_.body.provenance);
  }
  if (!TRY(has_command(root_.tree(), name, environment)))
    return fail("sandbox", "missing-command",
                fmt::format("Staged artifacts do not provide command '{}'", name));
  return {};
}

Status CommandRunner::make_directories(bool with_marked) {
  for (const char* needed : kSandboxDirectories) CHECK(root_.tree().make_directory(needed));
  if (!with_marked) return {};
  for (std::string& path : marked_) {
    path = TRY(normal_root_path(path));
    CHECK(root_.tree().make_directory(path));
  }
  return {};
}

Result<int> CommandRunner::run_read_only(SandboxRun& run) {
  WritableDirectories writable(cas_, scratch_, runs_);
  CHECK(writable.prepare(root_.tree(), marked_, run.directory, run));
  CHECK(realise(run));
  const int code = TRY(run_limited(run));
  store::ImportOptions options;
  options.mtime = data_.workspaced();
  const bool cleans = code == 0 && cleans_build_root_;
  CHECK(writable.capture(root_.tree(), options, [&](std::string_view path) {
    return cleans && path == data_.directory_variable("build-root");
  }));
  return code;
}

Result<int> CommandRunner::run_writable(SandboxRun& run) {
  run.upper = TRY(scratch_.directory(fmt::format("upper{}", runs_)));
  run.work = TRY(scratch_.directory(fmt::format("work{}", runs_)));
  fix_directory_time(run.upper);
  if (run.directory != "/") CHECK(root_.tree().make_directory(run.directory));
  CHECK(realise(run));
  const model::Digest lower = TRY(root_.tree().digest());
  const int code = TRY(run_limited(run));
  store::ImportOptions options;
  options.consume = true;
  options.mtime = data_.workspaced();
  options.shown = "";
  const model::Digest captured = TRY(store::capture_overlay(cas_, lower, run.upper, options));
  root_.tree() = TRY(store::Tree::open(cas_, captured));
  if (code == 0 && cleans_build_root_) {
    auto removed = root_.tree().remove(data_.directory_variable("build-root"));
    if (!removed && removed.error().domain != "virtual-fs") return forward(removed);
  }
  return code;
}

Status CommandRunner::realise(SandboxRun& run) {
  const model::Digest input = TRY(root_.tree().store(cas_));
  if (!realiser_.is_realised(input)) reporter_.flush();
  auto realised = TRY(realiser_.realise(input));
  run.layers = realised.layers;
  for (auto& lock : realised.locks) lock.release();  // held until this process ends
  return {};
}

Result<int> CommandRunner::run_limited(SandboxRun& run) {
  run.merged = TRY(scratch_.directory("merged"));
  sandbox::SandboxLimits limits;
  limits.silence = std::chrono::seconds(data_.settings.max_silent_time);
  limits.log = data_.settings.max_log_size;
  limits.clock = [this] { return reporter_.elapsed(); };
  const std::uint64_t most_memory = data_.settings.max_memory;
  CHECK(sandbox::limit_memory(data_.memory_group, most_memory));
  reporter_.flush();
  const std::uint64_t killed_before = sandbox::killed_for_memory(data_.memory_group);
  const int code = TRY(sandbox::run_sandbox(run, limits, cancel_));
  // The limit counts also when the commands went on without the killed processes: nobody knows
  // what is missing then.
  if (most_memory > 0 && sandbox::killed_for_memory(data_.memory_group) > killed_before) {
    return fail("sandbox", "max-memory",
                fmt::format("The commands needed more than {} bytes of memory (max-memory of the "
                            "user configuration), and processes of them were killed",
                            most_memory));
  }
  return code;
}

}  // namespace sluice::elements
