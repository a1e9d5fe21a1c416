// sluice-job: does jobs, one process each. With --server FD it is the process that the
// job processes are forked from, so that each of them starts with its libraries bound:
// 0.4 ms instead of 4. Without, it does one job that comes on standard input (a socket).
// --remove and --sweep remove scratch, for runners that have no time for that.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process_tree.h"
#include "base/sha256.h"
#include "jobs/job.h"
#include "jobs/names.h"
#include "sandbox/call_filter.h"
#include "sandbox/sandbox_mounts.h"
#include "sandbox/scratch.h"
#include "yaml/dump.h"

namespace {

using sluice::UniqueFd;
using sluice::jobs::ServerReply;
using sluice::jobs::ServerRequest;

bool send_reply(int server, const ServerReply& reply, int pidfd) {
  const std::string body = sluice::wire::encode(reply);
  iovec part{const_cast<char*>(body.data()), body.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (pidfd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &pidfd, sizeof pidfd);
  }
  ssize_t n;
  do {
    n = ::sendmsg(server, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n >= 0;
}

// The order in which the kernel kills when memory runs out: jobs before all other processes of a
// session, and what runs in their sandboxes before them.
constexpr int kKilledBeforeServer = 400;

constexpr std::size_t kMostFds = 5;

struct Request {
  ServerRequest said;
  UniqueFd channel;
  sluice::jobs::JobPlace place;
  UniqueFd group;
  std::vector<UniqueFd> owned;
};

// Receives a request with its descriptors; std::nullopt at the end.
std::optional<Request> receive_request(int server) {
  char text[4096];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostFds * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = ::recvmsg(server, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return std::nullopt;
  std::vector<int> fds((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  std::memcpy(fds.data(), CMSG_DATA(header), fds.size() * sizeof(int));
  Request request;
  auto said = sluice::wire::decode<ServerRequest>({text, static_cast<std::size_t>(n)});
  if (!said) return std::nullopt;
  request.said = std::move(*said);
  request.channel.reset(fds.front());
  std::size_t next = 1;
  const auto take = [&](bool is_there) {
    if (!is_there || next >= fds.size()) return -1;
    return request.owned.emplace_back(fds[next++]).get();
  };
  request.place.tokens.read = take(request.said.tokens);
  request.place.tokens.write = take(request.said.tokens);
  request.group.reset(take(request.said.group) < 0 ? -1 : request.owned.back().release());
  request.place.memory_group = take(request.said.memory);
  return request;
}

// Forks into a control group. Processes that move into one later wait for all others on the
// machine.
pid_t fork_into(int group) {
  if (group >= 0) {
    clone_args arguments{};
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(group);
    const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid >= 0) return static_cast<pid_t>(pid);
    // With an older kernel, or a group whose processes may not be moved, the job stays in our
    // group, which is stopped with it.
  }
  return ::fork();
}

// Initialises what each job would otherwise be the first to need.
void warm_up() {
  [[maybe_unused]] const std::string hash = sluice::sha256_hex("");
  sluice::model::Node node = sluice::model::Node::make_map();
  node.set("a", sluice::model::Node::make_scalar("b"));
  [[maybe_unused]] const std::string text = sluice::yaml::dump(node);
  sluice::jobs::covered_proc();
  sluice::jobs::call_filter(false);
  ::tzset();
}

struct Running {
  UniqueFd pidfd;
  // The store's temporary files are in a directory that goes with the last who has it.
  std::shared_ptr<sluice::jobs::StoreInUse> store;
};

int serve(int server) {
  warm_up();
  std::map<pid_t, Running> jobs;
  // The stores that jobs asked for (one, unless a test does): opened here, used by the forked.
  std::map<std::string, std::shared_ptr<sluice::jobs::StoreInUse>> stores;
  const pid_t self = ::getpid();
  for (;;) {
    std::vector<pollfd> fds{{server, POLLIN, 0}};
    std::vector<pid_t> order;
    for (const auto& [pid, job] : jobs) {
      fds.push_back({job.pidfd.get(), POLLIN, 0});
      order.push_back(pid);
    }
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return 1;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (fds[i + 1].revents == 0) continue;
      int status = 0;
      if (::waitpid(order[i], &status, 0) != order[i]) continue;
      ServerReply reply;
      reply.kind = "exited";
      reply.pid = order[i];
      reply.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      reply.code = WIFSIGNALED(status) ? 128 + reply.signal : WEXITSTATUS(status);
      jobs.erase(order[i]);
      if (!send_reply(server, reply, -1)) return 0;
    }
    if (fds[0].revents == 0) continue;
    auto request = receive_request(server);
    if (!request) return 0;  // the runner is gone, and PDEATHSIG ends the jobs with us
    const std::string& cachedir = request->said.cachedir;
    if (!cachedir.empty() && (request->said.anew || !stores.contains(cachedir))) {
      // Of a store that can't be opened each job says so for itself.
      if (auto opened = sluice::jobs::open_store(cachedir)) stores[cachedir] = std::move(*opened);
    }
    const auto store = stores.find(cachedir);
    const pid_t pid = fork_into(request->group.get());
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != self) ::_exit(1);
      sluice::raise_oom_score_adj(kKilledBeforeServer);
      // The stores of the others stay as they are: to close them is the server's part.
      for (auto& [other, job] : jobs) job.pidfd.reset();
      ::close(server);
      const int code = sluice::jobs::serve_job(
          request->channel.get(), store == stores.end() ? nullptr : store->second.get(),
          request->place);
      std::fflush(nullptr);
      ::_exit(code);
    }
    ServerReply reply;
    reply.kind = pid < 0 ? "failed" : "started";
    reply.pid = pid;
    reply.code = pid < 0 ? errno : 0;
    UniqueFd pidfd(pid < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!send_reply(server, reply, pidfd.get())) return 0;
    if (pid > 0)
      jobs.emplace(pid, Running{std::move(pidfd), store == stores.end() ? nullptr : store->second});
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("sluice-job " SLUICE_VERSION);
    return 0;
  }
  const std::string_view option = argc == 3 ? argv[1] : "";
  if (option == "--server") return serve(std::atoi(argv[2]));
  if (option == "--remove") return sluice::jobs::remove_stubborn(argv[2]) ? 0 : 1;
  if (option == "--sweep") return sluice::jobs::sweep_scratch(argv[2]) ? 0 : 1;
  if (argc == 1) return sluice::jobs::serve_job(0);
  std::fputs("usage: sluice-job [--server FD | --remove SCRATCH | --sweep BUILDDIR]\n", stderr);
  return 2;
}
