#include "cli/own_session.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::cli {

Result<std::unique_ptr<OwnSession>> OwnSession::start(wire::Reactor& reactor,
                                                      const std::string& project,
                                                      const std::string& verb, Callbacks callbacks,
                                                      const std::string& id,
                                                      const Prepare& prepare) {
  auto paths = TRY(wire::SessionPaths::of(id.empty() ? wire::new_session_id() : id));
  // The directories are made here, so that all of the session's processes read where its sockets
  // are instead of choosing.
  auto made = paths.make();
  if (!made && !id.empty()) {
    // Where they were when it died they can't be any more.
    (void)::unlink(paths.runtime_file().c_str());
    paths = TRY(wire::SessionPaths::of(id));
    made = paths.make();
  }
  CHECK(made);
  if (prepare) {
    if (auto prepared = prepare(paths); !prepared) {
      (void)::rmdir(paths.runtime.c_str());
      if (id.empty()) (void)remove_tree(paths.state);
      return forward(prepared);
    }
  }
  auto session = start_in(reactor, paths, project, verb, std::move(callbacks));
  // The runtime directory stays only when there is something in it.
  if (!session) (void)::rmdir(paths.runtime.c_str());
  return session;
}

Result<std::unique_ptr<OwnSession>> OwnSession::start_in(wire::Reactor& reactor,
                                                         const wire::SessionPaths& paths,
                                                         const std::string& project,
                                                         const std::string& verb,
                                                         Callbacks callbacks) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno(errno, "socketpair");
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return fail_errno(errno, "/dev/null");

  SpawnOptions options;
  options.argv = {find_program("sluice-session"),
                  "--session",
                  paths.id,
                  "--project",
                  project,
                  "--verb",
                  verb,
                  "--attached",
                  "3"};
  options.keep_fds.emplace_back(theirs.get(), 3);
  options.standard_input = null.get();
  options.standard_output = null.get();
  options.standard_error = null.get();
  // The supervisor has a session of the kernel's at once, so that a Ctrl-C in its first
  // milliseconds does not reach it.
  options.new_session = true;
  auto process = TRY(spawn(options));

  std::unique_ptr<OwnSession> session(new OwnSession(reactor));
  session->paths_ = paths;
  session->callbacks_ = std::move(callbacks);
  session->process_ = std::move(process);
  session->line_.emplace(ours.release());
  reactor.on_fd(session->line_->fd(), POLLIN, [self = session.get()](short) { self->heard(); });
  reactor.on_fd(session->process_.pidfd.get(), POLLIN,
                [self = session.get()](short) { self->ended(); });
  return session;
}

std::unique_ptr<OwnSession> OwnSession::join(wire::Reactor& reactor, wire::SessionPaths paths,
                                             Callbacks callbacks) {
  std::unique_ptr<OwnSession> session(new OwnSession(reactor));
  session->paths_ = std::move(paths);
  session->callbacks_ = std::move(callbacks);
  session->joined_ = true;
  reactor.after(Duration::zero(), [self = session.get()] { self->callbacks_.on_ready(); });
  return session;
}

OwnSession::~OwnSession() {
  if (line_) reactor_.remove_fd(line_->fd());
  if (!gone_ && !joined_) reactor_.remove_fd(process_.pidfd.get());
}

void OwnSession::heard() {
  bool closed = false;
  const auto lines = line_->receive(closed);
  if (closed) {
    reactor_.remove_fd(line_->fd());
    line_.reset();
  }
  for (const std::string_view line : lines) {
    if (line == "ready") {
      callbacks_.on_ready();
    } else if (line.starts_with("failed ")) {
      callbacks_.on_failed(line.substr(7));
    } else if (line == "detached") {
      reactor_.remove_fd(process_.pidfd.get());
      if (line_) reactor_.remove_fd(line_->fd());
      line_.reset();
      gone_ = true;
      return callbacks_.on_detached();
    }
    // "restarted" is in the session's logs, "ended" is followed by the process's end.
  }
}

void OwnSession::ended() {
  const auto status = poll_exit(process_);
  if (!status) return;
  how_ = status->signal != 0 ? fmt::format("was killed by signal {}", status->signal)
                             : fmt::format("ended with status {}", status->code);
  gone_ = true;
  // of a supervisor that ended before it had made anything in it
  (void)::rmdir(paths_.runtime.c_str());
  reactor_.remove_fd(process_.pidfd.get());
  if (line_) heard();  // its last words
  callbacks_.on_gone();
}

void OwnSession::detach() {
  if (line_) (void)line_->send("detach");
}

void OwnSession::leave() {
  if (gone_) return;
  gone_ = true;
  callbacks_.on_gone();
}

void OwnSession::end() {
  if (end_asked_ || gone_) return;
  end_asked_ = true;
  if (joined_) {
    // on_gone is not called from within the caller.
    reactor_.after(Duration::zero(), [this] { leave(); });
    return;
  }
  if (!line_ || !line_->send("end")) (void)send_signal(process_, SIGTERM);
}

void OwnSession::terminate() {
  if (joined_) return leave();
  if (!gone_) (void)send_signal(process_, SIGTERM);
}

void OwnSession::end_at_once() {
  if (joined_) return leave();
  if (gone_) return;
  // Two that are not one when they are pending together.
  (void)send_signal(process_, SIGTERM);
  (void)send_signal(process_, SIGINT);
}

void OwnSession::kill() {
  if (joined_) return leave();
  if (!gone_) (void)send_signal(process_, SIGKILL);
}

}  // namespace sluice::cli
