#include "elements/remote_executor.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/try.h"
#include "elements/local_executor.h"
#include "wire/held_helper.h"
#include "wire/job_protocol.h"

namespace sluice::elements {

namespace {

// How long sluice-execute may take to tell the server that nobody waits any more.
constexpr std::chrono::seconds kCancelTime{10};

// The steps that sluice-execute tells of, as activities; the last fails with the error, unless it
// went well.
class Steps {
 public:
  explicit Steps(Reporter& reporter) : reporter_(reporter) {}
  void begin(const std::string& text) {
    good();
    reporter_.flush();
    now_.emplace(reporter_, text, std::string_view{}, false, reporter_.sandbox());
    reporter_.flush();
  }
  void good() {
    if (now_) now_->success();
    now_.reset();
  }

 private:
  Reporter& reporter_;
  std::optional<Reporter::Activity> now_;
};

}  // namespace

model::StringMap execution_platform(const model::Sandbox& sandbox) {
  model::StringMap platform;
  platform.emplace_back("ISA", sandbox.build_arch);
  platform.emplace_back("OSFamily", sandbox.build_os);
  if (!sandbox.remote_apis_socket.empty()) {
    std::string path = sandbox.remote_apis_socket;
    path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
    platform.emplace_back("remoteApisSocketPath", std::move(path));
  }
  if (sandbox.build_gid != 0) platform.emplace_back("unixGID", std::to_string(sandbox.build_gid));
  if (sandbox.build_uid != 0) platform.emplace_back("unixUID", std::to_string(sandbox.build_uid));
  return platform;
}

// The root with the marks of what is read-only in it. The marks are for the server alone: what a
// build leaves has none of them.
Result<model::Digest> RemoteExecutor::input_root(store::Tree& root, const Execution& execution) {
  if (execution.directory != "/") CHECK(root.make_directory(execution.directory));
  const model::Digest plain = TRY(root.store(cas_));
  if (!execution.root_read_only) return plain;
  auto marked = TRY(store::Tree::open(cas_, plain));
  for (const char* directory : kSandboxDirectories)
    CHECK(marked.set_subtree_read_only(directory, false));
  for (const std::string& directory : execution.writable)
    CHECK(marked.set_subtree_read_only(directory, false));
  CHECK(marked.set_subtree_read_only("", true));
  return marked.store(cas_);
}

Result<wire::ExecuteRequest> RemoteExecutor::request(store::Tree& root,
                                                     const Execution& execution) {
  const model::RemoteExecution& services = data_.settings.remote_execution;
  wire::ExecuteRequest request;
  request.cachedir = data_.settings.cachedir;
  request.execution = *services.execution;
  const auto& storage = services.storage ? services.storage : data_.settings.storage_service;
  if (!storage)
    return fail("remote", "bad-remote", "Remote execution has no storage-service to use");
  request.storage = *storage;
  request.action_cache = services.action_cache;
  request.argv = execution.argv;
  request.directory = execution.directory;
  request.environment = execution.environment;
  request.outputs = execution.root_read_only ? execution.writable : std::vector<std::string>{"/"};
  if (data_.workspaced()) request.output_properties = {"mtime"};
  request.platform = execution_platform(data_.body.sandbox);
  request.root = TRY(input_root(root, execution));
  request.more_roots = execution.more_roots;
  request.anew = data_.anew;
  return request;
}

Result<wire::ExecuteReply> RemoteExecutor::ask(const wire::ExecuteRequest& request) {
  wire::ExecuteRequest packed = request;
  auto helper = TRY(wire::HeldHelper::start("sluice-execute", wire::encode(packed)));
  Steps steps(reporter_);
  wire::FrameReader frames;
  std::optional<Duration> cancelled;
  for (;;) {
    int wait = -1;
    if (cancelled) {
      const auto left = kCancelTime - (system_clock().monotonic() - *cancelled);
      if (left <= Duration::zero()) return fail("job", "killed", "The job was killed");
      wait = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    }
    pollfd fds[2] = {{helper.out(), POLLIN, 0}, {cancelled ? -1 : cancel_.fd(), POLLIN, 0}};
    if (::poll(fds, 2, wait) < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "poll");
    }
    if (!cancelled && fds[1].revents != 0 && cancel_.requested()) {
      cancelled = system_clock().monotonic();
      helper.release();
    }
    if (fds[0].revents == 0) continue;
    char buffer[16384];
    const ssize_t n = ::read(helper.out(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int status = helper.end();
      if (cancelled) return fail("job", "killed", "The job was killed");
      return fail("job", "helper-died", fmt::format("sluice-execute ended with status {}", status));
    }
    frames.append({buffer, static_cast<std::size_t>(n)});
    for (auto body = TRY(frames.next()); body; body = TRY(frames.next())) {
      auto event = TRY(wire::decode<wire::ExecuteEvent>(*body));
      if (event.error) return tl::unexpected<Error>(event.error->to_error());
      if (!event.step.empty()) steps.begin(event.step);
      if (!event.info.empty()) {
        reporter_.message_as(reporter_.sandbox(), Level::kInfo, event.info);
        reporter_.flush();
      }
      if (!event.reply) continue;
      steps.good();
      return std::move(*event.reply);
    }
  }
}

// Appends what the commands wrote to the log.
Status RemoteExecutor::write_log(const model::Digest& written) {
  JobLog* log = reporter_.log();
  if (written.hash.empty() || log == nullptr) return {};
  const auto blob = TRY(cas_.open_blob(written));
  const std::uint64_t most = data_.settings.max_log_size;
  std::string part(std::size_t{64} << 10, '\0');
  for (std::int64_t offset = 0; offset < written.size;) {
    const ssize_t n = ::pread(blob.get(), part.data(), part.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("cas", "missing-blob", written.hash + " is shorter than it was");
    std::string_view text(part.data(), static_cast<std::size_t>(n));
    const std::uint64_t size = log->size();
    if (most > 0) text = text.substr(0, most > size ? most - size : 0);
    log->write(text);
    offset += n;
    if (most > 0 && size + static_cast<std::uint64_t>(n) > most) {
      return fail("sandbox", "max-log-size",
                  fmt::format("The commands' log is over {} bytes (max-log-size of the user "
                              "configuration)",
                              most));
    }
  }
  return {};
}

// Puts the directories that came back in their places. One that didn't come is as it was.
Status RemoteExecutor::take_outputs(store::Tree& root, const wire::ExecuteReply& reply) {
  for (const wire::ExecuteOutput& output : reply.outputs) {
    if (output.path == "/") {
      root = TRY(store::Tree::open(cas_, output.root));
      continue;
    }
    CHECK(root.remove(output.path));
    CHECK(root.make_directory(output.path));
    CHECK(root.merge(output.root, output.path));
  }
  return {};
}

Result<int> RemoteExecutor::run(store::Tree& root, const Execution& execution) {
  const auto asked = TRY(request(root, execution));
  reporter_.flush();
  const auto reply = TRY(ask(asked));
  CHECK(write_log(reply.standard_output));
  CHECK(write_log(reply.standard_error));
  CHECK(take_outputs(root, reply));
  return reply.exit_code;
}

std::unique_ptr<Executor> make_executor(const JobData& data, store::Cas& cas,
                                        store::Realiser& realiser, Reporter& reporter,
                                        sandbox::Cancel& cancel) {
  if (data.settings.remote_execution.execution && !data.local)
    return std::make_unique<RemoteExecutor>(data, cas, reporter, cancel);
  return std::make_unique<LocalExecutor>(data, cas, realiser, reporter, cancel);
}

}  // namespace sluice::elements
