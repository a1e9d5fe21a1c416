#include "wire/listening.h"

#include <cerrno>

#include <fcntl.h>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/zap.h"

namespace sluice::wire {

namespace {

constexpr const char* kZapDomain = "sluice";

std::string tcp_name(std::string_view name) { return fmt::format("tcp/{}", name); }

// A listening descriptor is ours to accept from, and the supervisor's to keep: an accept() that
// another process was faster at must not block the I/O thread.
Status make_nonblocking(int fd, std::string_view name) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return fail_errno(errno, fmt::format("--listen {}", name));
  return {};
}

}  // namespace

Result<Listening> Listening::create(Context& context, SocketKind kind,
                                    const ServiceOptions& service, std::string_view name,
                                    int linger_ms) {
  SocketOptions options;
  options.zap_domain = kZapDomain;
  options.router_mandatory = kind == SocketKind::kRouter;
  options.probe_router = kind == SocketKind::kRouter;
  options.linger_ms = linger_ms;
  // Whoever subscribes has what he subscribes to kept by ZeroMQ, a node for each byte, before
  // anybody is asked.
  const bool to_subscribers = kind == SocketKind::kXPub;
  if (to_subscribers) options.max_message = kMostOfSubscriber;
  options.each_subscription = to_subscribers;
  if (const auto fd = service.listening.find(std::string(name)); fd != service.listening.end()) {
    CHECK(make_nonblocking(fd->second, name));
    options.use_fd = fd->second;
  }
  auto socket = TRY(Socket::create(context, kind, options));
  Listening listening(std::move(socket), service.paths.endpoint(name), std::string(name));
  if (const auto fd = service.listening.find(tcp_name(name)); fd != service.listening.end()) {
    CHECK(make_nonblocking(fd->second, name));
    listening.tcp_fd_ = fd->second;
    if (to_subscribers) listening.tcp_most_ = kMostOfSubscriber;
    if (kind == SocketKind::kXSub) listening.tcp_most_ = kMostOfLive;
    listening.server_secret_ = TRY(read_access_keys(service.paths.state)).server.secret_key;
  }
  return listening;
}

Status Listening::open() {
  CHECK(socket_.bind(ipc_));
  return remote() ? bind_remote() : Status();
}

// The endpoint is only a name here: the descriptor listens already.
Status Listening::bind_remote() {
  const int fd = ::fcntl(tcp_fd_, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return fail_errno(errno, fmt::format("--listen {}", tcp_name(name_)));
  tcp_ = TRY(socket_.bind_curve("tcp://127.0.0.1:0", name_, server_secret_, fd, tcp_most_));
  return {};
}

Status Listening::cut_remote() {
  if (!remote()) return {};
  CHECK(socket_.unbind(tcp_));
  return bind_remote();
}

Status prove_remote(Context& context, Reactor& reactor, const ServiceOptions& service,
                    std::span<const std::string_view> names) {
  std::vector<std::string_view> remote;
  for (const std::string_view name : names) {
    if (service.listening.contains(tcp_name(name))) remote.push_back(name);
  }
  if (remote.empty()) return {};
  const AccessKeys keys = TRY(read_access_keys(service.paths.state));
  return prove_curve(context, reactor, keys.server, remote);
}

}  // namespace sluice::wire
