#include "jobs/job_server.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "base/try.h"

namespace sluice::jobs {

namespace {

constexpr Duration kFreezeLimit = std::chrono::milliseconds(800);
constexpr int kServerEnd = 1000;             // ms
constexpr std::size_t kMostCachedir = 4000;  // bytes of a request that the server reads at once

constexpr std::size_t kMostFds = 5;

bool send_fds(int socket, const std::vector<int>& fds, const std::string& text) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostFds * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  ssize_t n;
  do {
    n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(text.size());
}

void signal_pidfd(const UniqueFd& pidfd, int signal) {
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

}  // namespace

JobServer::JobServer(wire::Reactor& reactor, Callbacks callbacks, Duration store_age)
    : reactor_(reactor), callbacks_(std::move(callbacks)), store_age_(store_age) {}

JobServer::~JobServer() {
  if (unborn_timer_ != 0) reactor_.cancel(unborn_timer_);
  for (auto& [id, job] : jobs_) {
    if (job->kill_timer != 0) reactor_.cancel(job->kill_timer);
    if (!job->eof) reactor_.remove_fd(job->channel.get());
    if (job->pidfd && !job->exited) reactor_.remove_fd(job->pidfd.get());
    signal_pidfd(job->pidfd, SIGKILL);
  }
  for (auto& cleaner : cleaners_) {
    reactor_.remove_fd(cleaner->pidfd.get());
    // A cleaner that died with us would leave what nobody removes for long.
    wait_for(*cleaner);
  }
  if (link_) reactor_.remove_fd(link_.get());
  if (server_.pidfd) {
    // The server's jobs go with it, by the kernel. It ends when nobody speaks to it any more, and
    // takes its temporary files along; one that is frozen can't.
    link_.reset();
    pollfd end{server_.pidfd.get(), POLLIN, 0};
    if (frozen_ || ::poll(&end, 1, kServerEnd) <= 0) {
      [[maybe_unused]] auto sent = send_signal(server_, SIGKILL);
    }
    wait_for(server_);
  }
  for (auto& [builddir, root] : roots_) {
    [[maybe_unused]] auto removed = remove_stubborn(root.path);
  }
}

Status JobServer::ensure_server(bool limits_memory) {
  if (server_.pidfd) return {};
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
    return fail_errno(errno, "socketpair");
  UniqueFd ours(fds[0]), theirs(fds[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-job"), "--server", "3"};
  options.keep_fds = {{theirs.get(), 3}};
  options.new_session = true;
  options.die_with_parent = true;
  server_ = TRY(spawn(options));
  link_ = std::move(ours);
  store_opened_at_ = system_clock().monotonic();
  // The server has no children before it is asked for one.
  if (!cgroup_) cgroup_ = Cgroup::make(limits_memory);
  if (cgroup_) {
    if (auto added = cgroup_->add(server_.pid); !added) {
      log::warn("{}", added.error().str());
      for (auto& [id, job] : jobs_) job->group = nullptr;
      cgroup_.reset();
    }
  }
  reactor_.on_fd(link_.get(), POLLIN, [this](short) { on_server(); });
  return {};
}

Result<std::string> JobServer::scratch_root(const std::string& builddir, const std::string& name) {
  const auto known = roots_.find(builddir);
  if (known != roots_.end()) return known->second.path;
  auto root = TRY(make_scratch_root(builddir, name));
  clean({"--sweep", builddir}, [] {});
  return roots_.emplace(builddir, std::move(root)).first->second.path;
}

void JobServer::clean(std::vector<std::string> arguments, std::function<void()> then) {
  SpawnOptions options;
  options.argv = {find_program("sluice-job")};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.new_session = true;
  options.die_with_parent = true;
  auto process = spawn(options);
  if (!process) {
    log::error("scratch can't be removed: {}", process.error().str());
    reactor_.after(Duration(0), std::move(then));
    return;
  }
  cleaners_.push_back(std::make_unique<Process>(std::move(*process)));
  Process* cleaner = cleaners_.back().get();
  reactor_.on_fd(cleaner->pidfd.get(), POLLIN, [this, cleaner, then = std::move(then)](short) {
    const auto done = then;
    reactor_.remove_fd(cleaner->pidfd.get());
    const ExitStatus status = wait_for(*cleaner);
    if (status.code != 0) log::warn("removing scratch ended with status {}", status.code);
    std::erase_if(cleaners_, [cleaner](const auto& other) { return other.get() == cleaner; });
    done();
  });
}

Status JobServer::start(const JobStart& start, const std::vector<int>& tokens) {
  CHECK(ensure_server(start.limits_memory));
  CHECK(make_directories(start.scratch, 0700));
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    return fail_errno(errno, "socketpair");
  auto job = std::make_unique<Job>();
  job->id = start.job.id;
  job->channel.reset(fds[0]);
  UniqueFd theirs(fds[1]);
  job->scratch = start.scratch;
  job->unsent = frame(wire::encode(start));
  if (cgroup_) {
    if (auto group = cgroup_->take(); group) {
      job->group = *group;
    } else {
      log::warn("{}", group.error().str());
    }
  }
  ServerRequest request;
  request.cachedir = start.cachedir.size() > kMostCachedir ? "" : start.cachedir;
  const Duration now = system_clock().monotonic();
  if (now - store_opened_at_ >= store_age_) {
    request.anew = true;
    store_opened_at_ = now;
  }
  std::vector<int> fds_to_send{theirs.get()};
  request.tokens = !tokens.empty();
  fds_to_send.insert(fds_to_send.end(), tokens.begin(), tokens.end());
  if (job->group != nullptr) {
    request.group = true;
    fds_to_send.push_back(job->group->group.get());
    request.memory = static_cast<bool>(job->group->memory);
    if (request.memory) fds_to_send.push_back(job->group->memory.get());
  }
  const std::string text = wire::encode(request);
  if (!send_fds(link_.get(), fds_to_send, text)) {
    // The server is dead, and its end not yet read: the next server takes the job.
    server_died();
    Status server = ensure_server(start.limits_memory);
    if (server && !send_fds(link_.get(), fds_to_send, text))
      server = fail_errno(errno, "the job server takes no jobs");
    if (!server) {
      give_back(*job);
      return server;
    }
  }
  const wire::JobId id = job->id;
  starting_.push_back(id);
  Job& placed = *jobs_.emplace(id, std::move(job)).first->second;
  reactor_.on_fd(placed.channel.get(), POLLIN,
                 [this, id](short events) { on_channel(id, events); });
  write(placed);
  return {};
}

void JobServer::write(Job& job) {
  bool waiting = false;
  while (!job.unsent.empty()) {
    const ssize_t n = ::send(job.channel.get(), job.unsent.data(), job.unsent.size(),
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      waiting = true;
      break;
    }
    if (n < 0) {
      job.unsent.clear();  // the process is dead, and the end of its channel says so
      break;
    }
    job.unsent.erase(0, static_cast<std::size_t>(n));
  }
  if (waiting) {
    const wire::JobId id = job.id;
    reactor_.remove_fd(job.channel.get());
    reactor_.on_fd(job.channel.get(), POLLIN | POLLOUT,
                   [this, id](short events) { on_channel(id, events); });
  }
}

void JobServer::on_server() {
  char buffer[4096];
  iovec part{buffer, sizeof buffer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(link_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return server_died();
  UniqueFd pidfd;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    pidfd.reset(fd);
  }
  auto reply = wire::decode<ServerReply>({buffer, static_cast<std::size_t>(n)});
  // The pidfd tells the end of a process.
  if (!reply || reply->kind == "exited" || starting_.empty()) return;
  const wire::JobId id = starting_.front();
  starting_.pop_front();
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  if (reply->kind != "started" || !pidfd) {
    job.exited = true;
    return finish_if_over(id);
  }
  job.pid = reply->pid;
  job.pidfd = std::move(pidfd);
  reactor_.on_fd(job.pidfd.get(), POLLIN, [this, id](short) { on_exit(id); });
  // The job may have been cancelled before it had a process.
  if (job.kill_timer != 0) signal_pidfd(job.pidfd, SIGTERM);
  if (job.kill_wanted) kill(id);
}

void JobServer::on_channel(const wire::JobId& id, short events) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  if ((events & POLLOUT) != 0) {
    reactor_.remove_fd(job.channel.get());
    reactor_.on_fd(job.channel.get(), POLLIN, [this, id](short again) { on_channel(id, again); });
    write(job);
  }
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  char buffer[65536];
  const ssize_t n = ::recv(job.channel.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    job.frames.append({buffer, static_cast<std::size_t>(n)});
    for (;;) {
      auto body = job.frames.next();
      if (!body) {
        kill(id);  // a process that doesn't speak our protocol is very wrong
        break;
      }
      if (!*body) break;
      auto event = wire::decode<JobEvent>(**body);
      if (event) {
        if (event->kind == "result") job.result = true;
        callbacks_.on_event(id, *event);
      } else {
        log::error("job {}: {}", id.job, event.error().str());
      }
    }
    return;
  }
  job.eof = true;
  reactor_.remove_fd(job.channel.get());
  finish_if_over(id);
}

void JobServer::on_exit(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  found->second->exited = true;
  reactor_.remove_fd(found->second->pidfd.get());
  finish_if_over(id);
}

void JobServer::finish_if_over(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || !found->second->exited) return;
  Job& job = *found->second;
  if (!job.eof) {
    // What the process said before its end may still be unread; nobody else holds the other end.
    pollfd fd{job.channel.get(), POLLIN, 0};
    while (!job.eof && ::poll(&fd, 1, 0) > 0) {
      on_channel(id, fd.revents);
      if (jobs_.find(id) == jobs_.end()) return;
    }
    if (!job.eof) return;
  }
  if (job.finishing) return;
  job.finishing = true;
  if (job.kill_timer != 0) reactor_.cancel(job.kill_timer);
  const std::string scratch = job.scratch;
  give_back(job);
  const auto done = [this, id] {
    jobs_.erase(id);
    callbacks_.on_end(id);
  };
  // A process that has told its result has cleaned up.
  if (job.result || !path_exists(scratch)) return done();
  job.kill_timer = 0;
  clean({"--remove", scratch}, done);
}

void JobServer::give_back(Job& job) {
  if (job.group != nullptr && cgroup_) cgroup_->give_back(job.group);
  job.group = nullptr;
}

void JobServer::cancel(const wire::JobId& id, Duration grace) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second->exited) return;
  Job& job = *found->second;
  if (frozen()) return kill(id);
  const Duration at = system_clock().monotonic() + grace;
  if (job.kill_timer != 0) {
    if (at >= job.kill_at) return;
    reactor_.cancel(job.kill_timer);
  }
  job.kill_at = at;
  job.kill_timer = reactor_.after(grace, [this, id] {
    const auto late = jobs_.find(id);
    if (late != jobs_.end()) kill(id);
  });
  signal_pidfd(job.pidfd, SIGTERM);
}

// Kills all below the job's process before it. The kernel would do that for bubblewrap and for
// helpers, but a process in between may be past its exec and not yet have asked for it.
void JobServer::kill(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  job.kill_wanted = true;
  if (!job.pidfd) return;
  if (!job.exited) signal_descendants(job.pid, SIGKILL);
  signal_pidfd(job.pidfd, SIGKILL);
}

Status JobServer::freeze() {
  if (frozen_ || !server_.pidfd) return {};
  frozen_ = true;
  frozen_at_ = system_clock().monotonic();
  if (cgroup_) return cgroup_->freeze(kFreezeLimit);
  freezer_.emplace(server_.pid);
  return freezer_->freeze(kFreezeLimit);
}

void JobServer::thaw() {
  if (!frozen_) return;
  const Duration paused = system_clock().monotonic() - frozen_at_;
  JobNote note{"paused", paused.count()};
  const std::string bytes = frame(wire::encode(note));
  for (auto& [id, job] : jobs_) {
    if (job->eof) continue;
    job->unsent += bytes;
    write(*job);
  }
  if (cgroup_) {
    if (auto thawed = cgroup_->thaw(); !thawed) log::error("{}", thawed.error().str());
  } else if (freezer_) {
    freezer_->thaw();
    freezer_.reset();
  }
  frozen_ = false;
}

void JobServer::server_died() {
  log::error("the job server died");
  reactor_.remove_fd(link_.get());
  link_.reset();
  if (server_.pidfd) wait_for(server_);
  server_ = Process{};
  freezer_.reset();
  if (frozen_ && cgroup_) (void)cgroup_->thaw();
  frozen_ = false;
  starting_.clear();
  for (auto& [id, job] : jobs_) {
    if (job->pidfd) continue;
    job->exited = true;
    unborn_.push_back(id);
  }
  // Ends are told later: start() may be on the stack, and its caller isn't ready for them.
  if (unborn_.empty() || unborn_timer_ != 0) return;
  unborn_timer_ = reactor_.after(Duration(0), [this] {
    unborn_timer_ = 0;
    for (const auto& id : std::exchange(unborn_, {})) finish_if_over(id);
  });
}

}  // namespace sluice::jobs
