// `runner join`, `list`, `drain`, `stop`: runners of other machines, from theirs and from the
// session's.
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/listening.h"
#include "model/remotes.h"
#include "project/user_config.h"
#include "store/space.h"
#include "wire/job_messages.h"
#include "wire/joined.h"

namespace sluice::cli {

namespace {

std::string absolute(const std::string& path) {
  return path.starts_with('/') ? path : current_directory() + "/" + path;
}

// What this machine's configuration, which stays here, says of a runner's store in `cache`.
struct StoreConfiguration {
  store::CacheLimits limits;
  std::optional<model::Remote> storage;
};

// A storage service whose address is none is done without, as all commands do without such caches.
Result<StoreConfiguration> store_configuration(Invocation& invocation) {
  const wire::LoadArguments load = load_arguments(invocation.global);
  const auto config = TRY(project::load_user_config(load.what.config, load.overrides, 1));
  const model::Settings& settings = config->settings;
  StoreConfiguration found;
  found.limits = {settings.cache_quota, config->cache_reserved, config->cache_low_watermark};
  if (!settings.storage_service) return found;
  if (const auto address = model::remote_address(settings.storage_service->url); !address) {
    invocation.report.warning("The storage service is done without: " + address.error().message);
    return found;
  }
  found.storage = settings.storage_service;
  return found;
}

// Becomes sluice-runner. Returns only when it can't.
Error become_runner(const JoinPlace& place, const wire::Joined& joined) {
  const std::string program = find_program("sluice-runner");
  const std::string epoch = std::to_string(joined.epoch);
  // The lock is the runner's from now on.
  ::fcntl(place.lock.get(), F_SETFD, 0);
  const char* arguments[] = {
      "sluice-runner",     "--session", place.directory.c_str(), "--instance",
      joined.name.c_str(), "--epoch",   epoch.c_str(),           nullptr};
  ::execv(program.c_str(), const_cast<char* const*>(arguments));
  return fail_errno(errno, program).value();
}

}  // namespace

int run_runner_join(Invocation& invocation, const RunnerJoinCommand& command) {
  auto ticket = read_join_file(command.file);
  if (!ticket) return failed(invocation, ticket.error());
  if (ticket->role != wire::text_of(wire::Role::kRunner)) {
    return failed(invocation, {"join",
                               "bad-join",
                               fmt::format("{} lets nobody build: its role is '{}'", command.file,
                                           ticket->role),
                               {},
                               {}});
  }
  auto configured = store_configuration(invocation);
  if (!configured) return failed(invocation, configured.error());
  if (!command.address.empty()) ticket->host = command.address;
  const std::string name = command.name.empty() ? machine_name() : command.name;
  auto place = take_join_place(ticket->session, name);
  if (!place) return failed(invocation, place.error());
  auto joined = join_session(*ticket, name, place->directory, kJoinTimeout);
  if (!joined) return failed(invocation, joined.error());

  wire::RunnerPlace& work = joined->place;
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  work.slots = command.slots != 0 ? command.slots : std::max(1u, processors / 2);
  work.labels = command.labels;
  work.cachedir = absolute(command.cache.empty() ? cache_home() + "/sluice/runner" : command.cache);
  work.builddir = work.cachedir + "/build";
  work.logdir = place->directory + "/jobs";
  work.idle_s = command.idle_s;
  work.lifetime_s = command.lifetime_s;
  work.storage = std::move(configured->storage);
  if (auto limited = store::limit_store(work.cachedir, configured->limits); !limited)
    return failed(invocation, limited.error());
  joined->epoch = std::max(joined->epoch + 1, static_cast<std::uint64_t>(system_clock().wall_ns()));
  if (auto kept = wire::write_joined(place->directory, *joined); !kept)
    return failed(invocation, kept.error());
  invocation.report.info(fmt::format("Joined session {} at {} as {}, with {} slot{}",
                                     ticket->session, ticket->host, joined->name, work.slots,
                                     work.slots == 1 ? "" : "s"));
  if (work.storage)
    invocation.report.info(fmt::format("Blobs are looked for at {} first", work.storage->url));
  return failed(invocation, become_runner(*place, *joined));
}

namespace {

nlohmann::json json_of(const wire::RunnerInfo& runner) {
  return {{"name", runner.name},
          {"host", runner.host},
          {"machine", runner.machine},
          {"platform", runner.platform},
          {"emulates", runner.emulates},
          {"labels", runner.labels},
          {"slots", runner.slots},
          {"processors", runner.processors},
          {"running", runner.running},
          {"waiting", runner.waiting},
          {"remote", runner.remote},
          {"draining", runner.draining},
          {"quarantined", runner.quarantined},
          {"done", runner.done},
          {"failed", runner.failed},
          {"fetched", runner.fetched},
          {"uploaded", runner.uploaded},
          {"storage-fetched", runner.storage_fetched},
          {"storage-uploaded", runner.storage_uploaded},
          {"silent", runner.silent},
          {"remaining", runner.remaining_s}};
}

std::string state_of(const wire::RunnerInfo& runner) {
  if (!runner.quarantined.empty()) return "quarantined: " + runner.quarantined;
  if (runner.silent >= 5) return fmt::format("silent for {} s", runner.silent);
  if (runner.draining) return "draining";
  return runner.running > 0 ? "working" : "idle";
}

}  // namespace

int run_runner_list(Invocation& invocation, const RunnerListCommand& command) {
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  auto reply = ask_done(*session, "scheduler", "runners", {}, "runner list");
  if (!reply) return failed(invocation, reply.error());
  auto list = wire::decode<wire::RunnerList>(reply->result.bytes);
  if (!list) return failed(invocation, list.error());
  std::string text;
  if (command.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const auto& runner : list->runners) all.push_back(json_of(runner));
    text = all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else if (!list->runners.empty()) {
    std::vector<std::array<std::string, 7>> rows{
        {"NAME", "HOST", "PLATFORM", "JOBS", "DONE", "LABELS", "STATE"}};
    for (const auto& runner : list->runners) {
      rows.push_back(
          {runner.name, runner.host, runner.platform.empty() ? "-" : runner.platform,
           fmt::format("{}/{}", runner.running, runner.slots),
           runner.failed == 0 ? std::to_string(runner.done)
                              : fmt::format("{}, {} failed", runner.done, runner.failed),
           runner.labels.empty() ? "-" : fmt::format("{}", fmt::join(runner.labels, ",")),
           state_of(runner)});
    }
    text = table(rows);
  }
  if (auto written = print(text); !written) return failed(invocation, written.error());
  return kSuccess;
}

int run_runner_control(Invocation& invocation, const RunnerControlCommand& command) {
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  auto reply =
      ask_done(*session, "scheduler", command.verb + "-runner",
               wire::encode(wire::RunnerArguments{command.name}), "runner " + command.verb);
  if (!reply) return failed(invocation, reply.error());
  return kSuccess;
}

}  // namespace sluice::cli
