#include "cli/remotes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/try.h"
#include "model/remotes.h"
#include "wire/codec.h"
#include "wire/remote_protocol.h"

namespace sluice::cli {

namespace {

void add_once(std::vector<model::Remote>& to, const std::vector<model::Remote>& remotes) {
  for (const model::Remote& remote : remotes) {
    if (std::find(to.begin(), to.end(), remote) == to.end()) to.push_back(remote);
  }
}

std::vector<model::Remote> choose(const model::CacheServers& servers,
                                  const std::vector<model::Remote>& named,
                                  bool ignore_recommended) {
  std::vector<model::Remote> out;
  add_once(out, named.empty() ? servers.configured : named);
  if (!ignore_recommended && !servers.only_configured) add_once(out, servers.recommended);
  return out;
}

}  // namespace

std::vector<wire::ProjectRemotes> choose_remotes(const std::vector<wire::ProjectServers>& servers,
                                                 const RemoteOptions& options, bool artifacts,
                                                 bool sources,
                                                 const std::optional<model::Remote>& storage) {
  std::vector<wire::ProjectRemotes> out;
  bool any = false;
  for (const wire::ProjectServers& of : servers) {
    wire::ProjectRemotes& remotes = out.emplace_back();
    if (artifacts)
      remotes.artifacts = choose(of.artifacts, options.artifacts, options.ignore_project_artifacts);
    if (artifacts && storage) {
      remotes.artifacts.insert(remotes.artifacts.begin(), *storage);
      remotes.artifacts.front().type = model::kBacking;
      remotes.artifacts.front().push = false;
    }
    if (sources)
      remotes.sources = choose(of.sources, options.sources, options.ignore_project_sources);
    any = any || !remotes.artifacts.empty() || !remotes.sources.empty();
  }
  if (!any) out.clear();
  return out;
}

std::vector<model::Remote> all_servers(const std::vector<wire::ProjectRemotes>& remotes) {
  std::vector<model::Remote> out;
  for (const wire::ProjectRemotes& of : remotes) {
    add_once(out, of.artifacts);
    add_once(out, of.sources);
  }
  return out;
}

void keep_reached(std::vector<wire::ProjectRemotes>& remotes,
                  const std::vector<std::string>& reached) {
  const auto gone = [&](const model::Remote& remote) {
    return std::find(reached.begin(), reached.end(), remote.url) == reached.end();
  };
  for (wire::ProjectRemotes& of : remotes) {
    std::erase_if(of.artifacts, gone);
    std::erase_if(of.sources, gone);
  }
}

namespace {

std::vector<std::string> warnings_of(wire::RemoteReply& reply) {
  std::vector<std::string> out;
  for (wire::RemoteNote& note : reply.notes) {
    if (note.level == "warn") out.push_back(std::move(note.text));
  }
  return out;
}

}  // namespace

// sluice-remote at work. The request is an unlinked file that the program inherits as standard
// input.
struct RemoteCheck::State {
  wire::Reactor& reactor;
  std::function<void(Result<wire::RemoteReply>)> done;
  UniqueFd output;
  Process process;
  std::string received;

  void readable() {
    char buffer[16384];
    const ssize_t count = ::read(output.get(), buffer, sizeof buffer);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count > 0) {
      received.append(buffer, static_cast<std::size_t>(count));
      return;
    }
    reactor.remove_fd(output.get());
    output.reset();
    const ExitStatus ended = wait_for(process);
    process = {};
    auto call = std::move(done);
    call(answer(ended));
  }

  Result<wire::RemoteReply> answer(const ExitStatus& ended) const {
    if (ended.signal == 0 && ended.code == 1) {
      auto error = wire::decode<wire::ErrorBody>(received);
      if (error) return tl::unexpected<Error>(error->to_error());
    }
    if (ended.signal != 0 || ended.code != 0)
      return fail("remote", "no-answer",
                  "sluice-remote, which looks for the caches on other machines, died");
    return wire::decode<wire::RemoteReply>(received);
  }

  static Result<std::unique_ptr<State>> start(wire::Reactor& reactor,
                                              const wire::RemoteRequest& request,
                                              std::function<void(Result<wire::RemoteReply>)> done);
};

RemoteCheck::RemoteCheck(std::unique_ptr<State> state) : state_(std::move(state)) {}

RemoteCheck::~RemoteCheck() {
  if (!state_->output) return;
  state_->reactor.remove_fd(state_->output.get());
  (void)send_signal(state_->process, SIGKILL);
  wait_for(state_->process);
}

Result<std::unique_ptr<RemoteCheck>> RemoteCheck::start(wire::Reactor& reactor,
                                                        const std::string& cachedir,
                                                        std::vector<model::Remote> servers,
                                                        std::function<void(Result<Found>)> done) {
  wire::RemoteRequest request;
  request.verb = "check";
  request.cachedir = cachedir;
  request.remotes = std::move(servers);
  auto state = TRY(State::start(reactor, request, [done](Result<wire::RemoteReply> reply) {
    if (!reply) return done(forward(reply));
    auto warnings = warnings_of(*reply);
    done(Found{std::move(reply->reached), std::move(warnings)});
  }));
  return std::unique_ptr<RemoteCheck>(new RemoteCheck(std::move(state)));
}

Result<std::vector<std::string>> find_artifacts(const std::string& cachedir,
                                                std::vector<model::Remote> servers,
                                                std::vector<std::string> names,
                                                std::vector<std::string>& warnings) {
  wire::RemoteRequest request;
  request.verb = "find-artifacts";
  request.cachedir = cachedir;
  request.remotes = std::move(servers);
  request.names = std::move(names);
  wire::Reactor reactor;
  std::optional<Result<wire::RemoteReply>> answer;
  // The program that is asked lives as long as this.
  const auto state =
      TRY(RemoteCheck::State::start(reactor, request, [&](Result<wire::RemoteReply> reply) {
        answer = std::move(reply);
        reactor.stop();
      }));
  reactor.run();
  if (!*answer) return forward(*answer);
  warnings = warnings_of(**answer);
  return std::move((*answer)->names);
}

Result<std::unique_ptr<RemoteCheck::State>> RemoteCheck::State::start(
    wire::Reactor& reactor, const wire::RemoteRequest& request,
    std::function<void(Result<wire::RemoteReply>)> done) {
  const UniqueFd input(::memfd_create("sluice-remote", MFD_CLOEXEC));
  if (!input) return fail_errno(errno, "memfd_create");
  CHECK(write_all(input.get(), wire::encode(request)));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-remote"), "/dev/fd/0"};
  options.standard_input = input.get();
  options.standard_output = theirs.get();
  options.new_process_group = true;
  options.die_with_parent = true;
  auto process = TRY(spawn(options));
  std::unique_ptr<State> state(
      new State{reactor, std::move(done), std::move(ours), std::move(process), {}});
  State* raw = state.get();
  reactor.on_fd(raw->output.get(), POLLIN, [raw](short) { raw->readable(); });
  return state;
}

}  // namespace sluice::cli
