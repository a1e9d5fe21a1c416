#include "brief_run.h"

#include <memory>
#include <optional>

#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/live.h"
#include "wire/reactor.h"
#include "wire/record_reader.h"
#include "wire/snapshot.h"

namespace sluice::bench {

Status write_brief_snapshot(const std::string& file, std::uint64_t count, std::uint32_t builders) {
  const std::string directory = file.substr(0, file.rfind('/'));
  model::Snapshot snapshot;
  snapshot.projects.emplace_back().name = "brief";
  snapshot.projects[0].directory = directory;
  snapshot.settings.cachedir = directory + "/cache";
  snapshot.settings.logdir = directory + "/logs";
  snapshot.settings.builddir = directory + "/build";
  snapshot.settings.sourcedir = directory + "/sources";
  snapshot.settings.on_error = "continue";
  snapshot.settings.key_length = 8;
  snapshot.settings.builders = builders;
  snapshot.elements.resize(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    model::Element& element = snapshot.elements[i];
    element.name = element.full_name = fmt::format("e{:07}.bst", i);
    element.kind = "manual";
    element.keys.weak = element.keys.strict = element.keys.full = fmt::format("{:064x}", i);
  }
  return wire::write_snapshot(file, snapshot);
}

Result<std::int64_t> do_brief_run(const wire::SessionPaths& paths, const BriefRun& run) {
  const auto action = model::named<model::Action>(run.verb);
  if (!action) return fail("bench", "usage", fmt::format("no action is called '{}'", run.verb));
  wire::Context context;
  wire::Reactor reactor;
  std::optional<Result<std::int64_t>> result;
  const auto finish = [&](Result<std::int64_t> with) {
    if (!result) result = std::move(with);
    reactor.stop();
  };
  wire::Hello hello;
  hello.build = SLUICE_VERSION;
  hello.role = "client";
  hello.instance = fmt::format("bench-{}", ::getpid());
  hello.epoch = 1;

  std::unique_ptr<wire::LiveSubscriber> live;
  if (run.on_full_status) {
    live = TRY(wire::LiveSubscriber::create(
        context, reactor, paths.endpoint("live-out"), {"status/full/"},
        [&](std::string_view, std::string_view packed) { run.on_full_status(packed); }));
  }
  hello.protocol = wire::kControlProtocol;
  const auto control =
      TRY(wire::ControlClient::create(context, reactor, paths.endpoint("control"), hello));
  wire::RunArguments arguments;
  arguments.verb = *action;
  arguments.snapshot_file = run.snapshot;
  arguments.selection.resize(run.count);
  for (std::uint32_t i = 0; i < run.count; ++i) arguments.selection[i] = i;
  control->request("scheduler", "run", wire::encode(arguments), std::chrono::seconds(300),
                   [&](const wire::Reply& reply) {
                     if (reply.status == "accepted") {
                       if (run.on_accepted) run.on_accepted();
                     } else if (reply.error) {
                       finish(tl::unexpected<Error>(reply.error->to_error()));
                     } else {
                       finish(fail("bench", "refused", "the run was refused"));
                     }
                   });
  wire::RecordReader::Settings settings;
  settings.endpoint = paths.endpoint("records");
  settings.hello = hello;
  settings.hello.protocol = wire::kRecordsProtocol;
  const auto reader = TRY(wire::RecordReader::create(
      context, reactor, std::move(settings),
      [&](std::string_view packed) {
        auto event = wire::decode_event(packed);
        if (!event) return finish(forward(event));
        if (event->type != "run.finished") return;
        std::uint64_t processed = 0;
        if (event->queues) {
          for (const auto& queue : *event->queues) processed += queue.processed;
        }
        if (event->outcome != "success" || processed != run.count) {
          return finish(fail("bench", "run",
                             fmt::format("the run ended with {}, and {} of {} jobs were done",
                                         event->outcome, processed, run.count)));
        }
        finish(event->elapsed);
      },
      [&](bool) { finish(fail("session", "ended", "the records ended too early")); }));
  reactor.run();
  return *result;
}

}  // namespace sluice::bench
