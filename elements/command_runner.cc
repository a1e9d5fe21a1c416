#include "elements/command_runner.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/integration_cache.h"
#include "elements/makeflags.h"
#include "elements/root_paths.h"
#include "yaml/dump.h"

namespace sluice::elements {

using sandbox::kTokensInside;
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
  if (data_.tokens.read < 0 || executor_->remote()) return environment;
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
  // Elsewhere the root has what the element marked, as BuildStream sends it. Here it has not, so
  // that elements that are built on the same dependencies share one integrated root.
  const bool with_marked = executor_->remote();
  CHECK(make_directories(with_marked));
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
  if (TRY(run_in_root(script, false, with_marked)) != 0)
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
  const ShellScript* whole = &script;
  ShellScript cleaning;
  if (cleans_build_root_ && executor_->remote()) {
    // What isn't wanted needn't travel: the commands remove it, as BuildStream's do.
    cleaning = script;
    cleaning.add_removal(data_.directory_variable("build-root"));
    whole = &cleaning;
  }
  const int code = TRY(run_in_root(*whole, root_read_only, true));
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
  Execution execution;
  execution.argv = command.argv;
  execution.environment = command.environment;
  execution.directory = command.directory;
  execution.root_read_only = root_read_only;
  ran_read_only_ = root_read_only;
  return run_there(std::move(execution), true);
}

Result<int> CommandRunner::run_in_root(const ShellScript& script, bool root_read_only,
                                       bool with_marked) {
  Execution execution;
  execution.argv = {"sh", "-c", "-e", script.text()};
  execution.environment = script.environment();
  if (script.exports() && !executor_->remote()) {
    // Values of the environment belong in no argument list, which everybody can read.
    execution.argv.back() = fmt::format("eval \"${}\"", kScriptVariable);
    execution.environment.emplace_back(kScriptVariable,
                                       fmt::format("unset {}\n{}", kScriptVariable, script.text()));
  }
  execution.directory = script.directory();
  execution.root_read_only = root_read_only;
  return run_there(std::move(execution), with_marked);
}

Result<int> CommandRunner::run_there(Execution execution, bool with_marked) {
  CHECK(check_command(execution.argv.front(), execution.environment));
  execution.directory = TRY(normal_root_path(execution.directory));
  CHECK(make_directories(with_marked));
  if (execution.root_read_only) execution.writable = marked_;
  execution.drops_build_root = cleans_build_root_;
  execution.with_tokens = tokens_told_;
  execution.more_roots = root_.subsandboxes();
  return executor_->run(root_.tree(), execution);
}

Status CommandRunner::check_command(const std::string& name, const model::StringMap& environment) {
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

}  // namespace sluice::elements
