#include "cli/own_session.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/file.h"

namespace sluice::cli {

Result<std::unique_ptr<OwnSession>> OwnSession::start(wire::Reactor& reactor, const std::string& project,
                                                      const std::string& verb, Callbacks callbacks) {
  auto paths = wire::SessionPaths::of(wire::new_session_id());
  if (!paths) return forward(paths);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail_errno(errno, "socketpair");
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return fail_errno(errno, "/dev/null");

  SpawnOptions options;
  options.argv = {find_program("sluice-session"), "--session", paths->id, "--project", project, "--verb", verb, "--attached", "3"};
  options.keep_fds.emplace_back(theirs.get(), 3);
  options.standard_input = null.get();
  options.standard_output = null.get();
  options.standard_error = null.get();
  // At once, so that a Ctrl-C in its first milliseconds does not reach it.
  options.new_session = true;
  auto process = spawn(options);
  if (!process) return forward(process);

  std::unique_ptr<OwnSession> session(new OwnSession(reactor));
  session->paths_ = std::move(*paths);
  session->callbacks_ = std::move(callbacks);
  session->process_ = std::move(*process);
  session->line_.emplace(ours.release());
  reactor.on_fd(session->line_->fd(), POLLIN, [self = session.get()](short) { self->heard(); });
  reactor.on_fd(session->process_.pidfd.get(), POLLIN, [self = session.get()](short) { self->ended(); });
  return session;
}

OwnSession::~OwnSession() {
  if (line_) reactor_.remove_fd(line_->fd());
  if (!gone_) reactor_.remove_fd(process_.pidfd.get());
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
    }
    // "restarted" is in the session's logs, "ended" is followed by the process's end.
  }
}

void OwnSession::ended() {
  if (!poll_exit(process_)) return;
  gone_ = true;
  reactor_.remove_fd(process_.pidfd.get());
  if (line_) heard();  // its last words
  callbacks_.on_gone();
}

void OwnSession::end() {
  if (end_asked_ || gone_) return;
  end_asked_ = true;
  if (!line_ || !line_->send("end")) (void)send_signal(process_, SIGTERM);
}

void OwnSession::terminate() {
  if (!gone_) (void)send_signal(process_, SIGTERM);
}

void OwnSession::kill() {
  if (!gone_) (void)send_signal(process_, SIGKILL);
}

}  // namespace sluice::cli
