#include "elements/local_executor.h"

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "elements/apis_socket.h"
#include "elements/root_paths.h"
#include "elements/writable_directories.h"
#include "sandbox/memory_limit.h"
#include "store/capture.h"

namespace sluice::elements {

using sandbox::SandboxRun;

Result<int> LocalExecutor::run(store::Tree& root, const Execution& execution) {
  ++runs_;
  SandboxRun run;
  run.argv = execution.argv;
  run.environment = execution.environment;
  run.directory = execution.directory;
  run.root_read_only = execution.root_read_only;
  if (execution.with_tokens) run.tokens = data_.tokens;
  run.uid = data_.body.sandbox.build_uid;
  run.gid = data_.body.sandbox.build_gid;
  if (reporter_.log() != nullptr) run.output = reporter_.log()->fd();
  run.temporary = sandbox::temporary_size(data_.settings);
  run.narrow = TRY(sandbox::narrow_platform(data_.body.sandbox));
  run.own_temporary = TRY(has_own_temporary(root, run.directory));
  std::optional<ApisSocket> apis;
  if (!data_.body.sandbox.remote_apis_socket.empty()) {
    const std::string directory = TRY(scratch_.directory(fmt::format("apis{}", runs_)));
    apis.emplace(TRY(ApisSocket::open(data_, cas_, root, directory, run)));
  }
  const int code = TRY(execution.root_read_only ? run_read_only(root, execution, run)
                                                : run_writable(root, execution, run));
  if (apis) CHECK(apis->remove_place(root));
  return code;
}

Result<int> LocalExecutor::run_read_only(store::Tree& root, const Execution& execution,
                                         SandboxRun& run) {
  WritableDirectories writable(cas_, scratch_, runs_);
  CHECK(writable.prepare(root, execution.writable, run.directory, run));
  CHECK(realise(root, run));
  const int code = TRY(run_limited(run));
  store::ImportOptions options;
  options.mtime = data_.workspaced();
  const bool cleans = code == 0 && execution.drops_build_root;
  CHECK(writable.capture(root, options, [&](std::string_view path) {
    return cleans && path == data_.directory_variable("build-root");
  }));
  return code;
}

Result<int> LocalExecutor::run_writable(store::Tree& root, const Execution& execution,
                                        SandboxRun& run) {
  run.upper = TRY(scratch_.directory(fmt::format("upper{}", runs_)));
  run.work = TRY(scratch_.directory(fmt::format("work{}", runs_)));
  fix_directory_time(run.upper);
  if (run.directory != "/") CHECK(root.make_directory(run.directory));
  CHECK(realise(root, run));
  const model::Digest lower = TRY(root.digest());
  const int code = TRY(run_limited(run));
  store::ImportOptions options;
  options.consume = true;
  options.mtime = data_.workspaced();
  options.shown = "";
  const model::Digest captured = TRY(store::capture_overlay(cas_, lower, run.upper, options));
  root = TRY(store::Tree::open(cas_, captured));
  if (code == 0 && execution.drops_build_root) {
    auto removed = root.remove(data_.directory_variable("build-root"));
    if (!removed && removed.error().domain != "virtual-fs") return forward(removed);
  }
  return code;
}

Status LocalExecutor::realise(store::Tree& root, SandboxRun& run) {
  const model::Digest input = TRY(root.store(cas_));
  if (!realiser_.is_realised(input)) reporter_.flush();
  auto realised = TRY(realiser_.realise(input));
  run.layers = realised.layers;
  for (auto& lock : realised.locks) lock.release();  // held until this process ends
  return {};
}

Result<int> LocalExecutor::run_limited(SandboxRun& run) {
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
