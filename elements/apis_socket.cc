#include "elements/apis_socket.h"

#include <cerrno>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/try.h"
#include "elements/root_paths.h"
#include "wire/apis_protocol.h"
#include "wire/messages.h"

namespace sluice::elements {

namespace {

constexpr std::chrono::seconds kStartTime{30};
constexpr const char* kSocket = "socket";

// Waits until the program says that it serves.
Status wait_until_ready(wire::HeldHelper& helper) {
  std::string said;
  const Duration begun = system_clock().monotonic();
  while (said != "ready\n") {
    const Duration left = kStartTime - (system_clock().monotonic() - begun);
    if (left <= Duration::zero())
      return fail("sandbox", "remote-apis", "sluice-apis doesn't begin to serve");
    pollfd fd{helper.out(), POLLIN, 0};
    if (::poll(&fd, 1,
               static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count())) < 0 &&
        errno != EINTR)
      return fail_errno(errno, "poll");
    if (fd.revents == 0) continue;
    char buffer[4096];
    const ssize_t n = ::read(helper.out(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) {
      said.append(buffer, static_cast<std::size_t>(n));
      continue;
    }
    const auto error = wire::decode<wire::ErrorBody>(said);
    if (error) return tl::unexpected<Error>(error->to_error());
    return fail("sandbox", "remote-apis",
                fmt::format("sluice-apis ended with status {}", helper.end()));
  }
  return {};
}

wire::ApisRequest request_of(const JobData& data) {
  const model::RemoteExecution& services = data.settings.remote_execution;
  wire::ApisRequest request;
  request.cachedir = data.settings.cachedir;
  request.socket = kSocket;
  request.updates = data.body.sandbox.remote_apis_update;
  // As with BuildStream, services of remote execution count where results are kept with them.
  if (services.action_cache) {
    request.action_cache = services.action_cache;
    request.execution = services.execution;
    request.storage = services.storage ? services.storage : data.settings.storage_service;
  }
  return request;
}

}  // namespace

Result<ApisSocket> ApisSocket::open(const JobData& data, store::Cas& cas, store::Tree& root,
                                    const std::string& directory, sandbox::SandboxRun& run) {
  if (data.settings.storage_service && !data.settings.remote_execution.action_cache) {
    return fail("sandbox", "remote-apis",
                "Using 'remote-apis-socket' with 'storage-service' requires "
                "'action-cache-service' or 'execution-service' configured in the "
                "'remote-execution' section.",
                data.body.provenance);
  }
  std::string path = data.body.sandbox.remote_apis_socket;
  if (!path.starts_with('/')) path.insert(0, "/");
  path = TRY(normal_root_path(path));
  if (path == "/") {
    return fail("sandbox", "remote-apis", "The path of remote-apis-socket is the root",
                data.body.provenance);
  }
  wire::ApisRequest request = request_of(data);
  auto helper = TRY(wire::HeldHelper::start("sluice-apis", wire::encode(request), directory));
  CHECK(wait_until_ready(helper));
  ApisSocket socket(std::move(helper), path);
  const bool own = is_in(path, "/dev") || is_in(path, "/proc") ||
                   (is_in(path, kTemporary) && !run.own_temporary);
  if (!own && !TRY(root.find(path))) {
    // The topmost directory that isn't there goes with the place.
    socket.made_ = path;
    for (std::string at = path; at.rfind('/') != 0;) {
      at.erase(at.rfind('/'));
      const auto there = TRY(root.find(at));
      if (there) break;
      socket.made_ = at;
    }
    if (const auto slash = path.rfind('/'); slash != 0)
      CHECK(root.make_directory(path.substr(0, slash)));
    CHECK(root.put_file(path, TRY(cas.add("")), false));
  }
  run.mounts.push_back({directory + "/" + kSocket, path, true, true});
  return socket;
}

Status ApisSocket::remove_place(store::Tree& root) const {
  if (made_.empty()) return {};
  // Commands may have put something beside it.
  for (std::string at = path_; is_in(at, made_);) {
    if (at != path_) {
      const auto names = root.names(at);
      if (!names || !names->empty()) break;
    }
    auto removed = root.remove(at);
    if (!removed && removed.error().domain != "virtual-fs") return removed;
    const auto slash = at.rfind('/');
    if (slash == 0) break;
    at.erase(slash);
  }
  return {};
}

}  // namespace sluice::elements
