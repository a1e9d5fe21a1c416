// `runner start`: runners on other machines, by the engines that start programs there. It stays in
// the foreground, and its runners end with it.
#include <csignal>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/listening.h"
#include "cli/sessions.h"
#include "cli/slurm_runners.h"
#include "cli/ssh_runners.h"
#include "wire/joined.h"
#include "wire/reactor.h"

namespace sluice::cli {

namespace {

using std::chrono::seconds;

constexpr Duration kLookAtSession = seconds(1);
// Runners of a session that is over leave by themselves, and are waited for so long.
constexpr Duration kLeave = seconds(30);

std::vector<std::string> options_of(const RunnerJoinCommand& join) {
  std::vector<std::string> options;
  const auto add = [&options](const char* name, std::string value) {
    options.insert(options.end(), {name, std::move(value)});
  };
  if (join.slots != 0) add("--slots", std::to_string(join.slots));
  for (const std::string& label : join.labels) add("--label", label);
  if (!join.cache.empty()) add("--cache", join.cache);
  if (!join.address.empty()) add("--address", join.address);
  if (join.idle_s != 0) add("--idle", fmt::format("{}s", join.idle_s));
  if (join.lifetime_s != 0) add("--lifetime", fmt::format("{}s", join.lifetime_s));
  return options;
}

Result<RunnerOrder> order_of(const SessionInfo& session, const RunnerStartCommand& command) {
  if (!wire::listens_on_tcp(session.paths.state)) {
    return fail("session", "does-not-listen",
                fmt::format("Session {} can't be joined from other machines", session.paths.id), {},
                "It must be started with --listen.");
  }
  // They may have been written elsewhere, or removed since.
  CHECK(write_join_files(session.paths, {}));
  const std::string path = session.paths.state + "/runner.json";
  RunnerOrder order;
  order.session = session.paths.id;
  order.join = TRY(on_one_line(path, TRY(read_file(path))));
  order.program = command.program;
  order.options = options_of(command.join);
  return order;
}

int start_by_ssh(Invocation& invocation, const SessionInfo& session, RunnerOrder order,
                 const RunnerStartCommand& command) {
  wire::Reactor reactor;
  SshRunners::Callbacks callbacks;
  callbacks.say = [&](std::string_view host, std::string_view line) {
    invocation.report.info(clean(fmt::format("{}: {}", host, line)));
  };
  callbacks.warn = [&](std::string_view host, std::string_view line) {
    invocation.report.warning(clean(fmt::format("{}: {}", host, line)));
  };
  callbacks.on_over = [&] { reactor.stop(); };
  SshRunners runners(reactor, std::move(order), command.engine_options, std::move(callbacks));
  unsigned signals = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    auto status = reactor.on_signal(signal, [&] {
      if (++signals > 1) return runners.end_at_once();
      invocation.report.info(
          "The runners finish what they build, and leave; another signal doesn't wait for that");
      runners.end();
    });
    if (!status) return failed(invocation, status.error());
  }
  bool over = false;
  reactor.every(kLookAtSession, [&] {
    if (over || session.paths.lives()) return;
    over = true;
    runners.end();
    reactor.after(kLeave, [&] { runners.end_at_once(); });
  });
  runners.start(command.ssh);
  reactor.run();
  return runners.given_up() == 0 ? kSuccess : kFailure;
}

}  // namespace

int run_runner_start(Invocation& invocation, const RunnerStartCommand& command) {
  const auto session = choose_session(command.id, load_arguments(invocation.global).what.directory);
  if (!session) return failed(invocation, session.error());
  auto order = order_of(*session, command);
  if (!order) return failed(invocation, order.error());
  if (!command.ssh.empty()) return start_by_ssh(invocation, *session, std::move(*order), command);
  return SlurmRunners(invocation, *session, std::move(*order), command.engine_options,
                      command.slurm)
      .run();
}

}  // namespace sluice::cli
