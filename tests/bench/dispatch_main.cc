// The processes of tests/bench/dispatch.py:
// - `dispatch_bench snapshot FILE COUNT BUILDERS`: a project of COUNT elements that depend on
//   nothing.
// - `dispatch_bench run SESSION VERB FILE COUNT`: a run of jobs for all of them, until its end.
// - `dispatch_bench router ENDPOINT COUNT CREDIT BATCH PEERS`: bare messages of a JOB's and a
//   RESULT's size; gives COUNT jobs to dealers, each of which has no more than CREDIT at a time.
// - `dispatch_bench dealer ENDPOINT BATCH`: takes them and answers, until it is killed.
//
// `run` and `router` print the nanoseconds from when the first job could be given until the last
// was done, `run` by the scheduler's clock (the elapsed time of run.finished); it prints "accepted"
// before.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include <unistd.h>

#include <fmt/format.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/file.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/reactor.h"
#include "wire/record_reader.h"
#include "wire/session.h"
#include "wire/snapshot.h"

namespace {

using namespace sluice;

[[noreturn]] void die(const Error& error) {
  fmt::print(stderr, "dispatch_bench: {}\n", error.str());
  std::exit(1);
}

std::int64_t now() { return system_clock().monotonic().count(); }

int snapshot(const std::string& file, std::uint64_t count, std::uint32_t builders) {
  const std::string directory = file.substr(0, file.rfind('/'));
  model::Snapshot snapshot;
  snapshot.projects.emplace_back().name = "dispatch";
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
  if (auto written = wire::write_snapshot(file, snapshot); !written) die(written.error());
  return 0;
}

int run(const std::string& session, const std::string& verb, const std::string& file,
        std::uint64_t count) {
  auto paths = wire::SessionPaths::of(session);
  if (!paths) die(paths.error());
  wire::Context context;
  wire::Reactor reactor;
  const std::string instance = fmt::format("bench-{}", ::getpid());
  auto control = wire::ControlClient::create(context, reactor, paths->endpoint("control"),
                                             {"control/1", SLUICE_VERSION, "client", instance, 1});
  if (!control) die(control.error());
  wire::RunArguments arguments;
  const auto action = model::named<model::Action>(verb);
  if (!action) die({"bench", "usage", fmt::format("no action is called '{}'", verb), {}, {}});
  arguments.verb = *action;
  arguments.snapshot_file = file;
  arguments.selection.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) arguments.selection[i] = i;
  std::int64_t elapsed = 0;
  std::uint64_t processed = 0;
  (*control)->request("scheduler", "run", wire::encode(arguments), std::chrono::seconds(300),
                      [&](const wire::Reply& reply) {
                        if (reply.status != "accepted")
                          die(reply.error
                                  ? reply.error->to_error()
                                  : Error{"bench", "refused", "the run was refused", {}, {}});
                        std::puts("accepted");
                        std::fflush(stdout);
                      });
  wire::RecordReader::Settings settings;
  settings.endpoint = paths->endpoint("records");
  settings.hello = {"records/1", SLUICE_VERSION, "client", instance, 1};
  auto reader = wire::RecordReader::create(
      context, reactor, std::move(settings),
      [&](std::string_view packed) {
        auto event = wire::decode_event(packed);
        if (!event) die(event.error());
        if (event->type != "run.finished") return;
        elapsed = event->elapsed;
        if (event->outcome != "success" || !event->queues)
          die({"bench", "run", "the run ended with " + event->outcome, {}, {}});
        for (const auto& queue : *event->queues) processed += queue.processed;
        reactor.stop();
      },
      [&](bool) {
        die({"session", "ended", "the records ended too early", {}, {}});
      });
  if (!reader) die(reader.error());
  reactor.run();
  if (processed != count)
    die({"bench", "jobs", fmt::format("{} jobs were done", processed), {}, {}});
  fmt::print("{}\n", elapsed);
  return 0;
}

// ---- Bare libzmq, blocking

class Bare {
 public:
  explicit Bare(int kind) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, kind)) {}
  ~Bare() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  void send(std::string_view frame, bool more) {
    if (zmq_send(socket_, frame.data(), frame.size(), more ? ZMQ_SNDMORE : 0) < 0)
      die({"bench", "zeromq", zmq_strerror(zmq_errno()), {}, {}});
  }
  std::string receive() {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket_, 0) < 0)
      die({"bench", "zeromq", zmq_strerror(zmq_errno()), {}, {}});
    std::string bytes(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    zmq_msg_close(&frame);
    return bytes;
  }
  void* socket() const { return socket_; }

 private:
  void* context_;
  void* socket_;
};

std::string job() {
  wire::Job job;
  job.id = {1'000'000, 1};
  job.action = model::Action::kEmpty;
  return wire::encode(job);
}

std::string result() {
  wire::JobResult result;
  result.id = {1'000'000, 1};
  result.status = model::Outcome::kSuccess;
  return wire::encode(result);
}

std::string repeated(const std::string& text, std::uint64_t times) {
  std::string out;
  for (std::uint64_t i = 0; i < times; ++i) out += text;
  return out;
}

int router(const std::string& endpoint, std::uint64_t count, std::uint64_t credit,
           std::uint64_t batch, std::uint64_t peers) {
  Bare bare(ZMQ_ROUTER);
  if (zmq_bind(bare.socket(), endpoint.c_str()) != 0)
    die({"bench", "zeromq", zmq_strerror(zmq_errno()), {}, {}});
  std::puts("ready");
  std::fflush(stdout);
  const std::string one_job = job();
  const std::size_t one_result = result().size();
  std::map<std::string, std::uint64_t> given;
  while (given.size() < peers) {  // each says that it is there
    given[bare.receive()] = 0;
    bare.receive();
    bare.receive();
  }
  std::uint64_t sent = 0, done = 0;
  const auto give = [&](const std::string& peer) {
    for (std::uint64_t& has = given[peer]; sent < count && has + batch <= credit;) {
      const std::uint64_t some = std::min(batch, count - sent);
      bare.send(peer, true);
      bare.send("JOB", true);
      bare.send(repeated(one_job, some), false);
      sent += some;
      has += some;
    }
  };
  const std::int64_t began = now();
  for (auto& [peer, has] : given) give(peer);
  while (done < count) {
    const std::string peer = bare.receive();
    bare.receive();
    const std::uint64_t results = bare.receive().size() / one_result;
    done += results;
    given[peer] -= results;
    give(peer);
  }
  fmt::print("{}\n", now() - began);
  return 0;
}

int dealer(const std::string& endpoint) {
  Bare bare(ZMQ_DEALER);
  if (zmq_connect(bare.socket(), endpoint.c_str()) != 0)
    die({"bench", "zeromq", zmq_strerror(zmq_errno()), {}, {}});
  const std::size_t one_job = job().size();
  const std::string one_result = result();
  bare.send("HELLO", true);
  bare.send("", false);
  for (;;) {
    bare.receive();
    const std::string jobs = bare.receive();
    bare.send("RESULT", true);
    bare.send(repeated(one_result, jobs.size() / one_job), false);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  if (what == "size") return fmt::print("{} {}\n", job().size(), result().size()), 0;
  if (what == "snapshot" && argc == 5)
    return snapshot(argv[2], number(3), static_cast<std::uint32_t>(number(4)));
  if (what == "run" && argc == 6) return run(argv[2], argv[3], argv[4], number(5));
  if (what == "router" && argc == 7)
    return router(argv[2], number(3), number(4), number(5), number(6));
  if (what == "dealer" && argc == 3) return dealer(argv[2]);
  std::fputs("usage: dispatch_bench size | snapshot ... | run ... | router ... | dealer ...\n",
             stderr);
  return 2;
}
