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

#include <fmt/format.h>
#include <zmq.h>

#include "base/clock.h"
#include "brief_run.h"
#include "wire/job_messages.h"
#include "wire/session.h"

namespace {

using namespace sluice;

[[noreturn]] void die(const Error& error) {
  fmt::print(stderr, "dispatch_bench: {}\n", error.str());
  std::exit(1);
}

std::int64_t now() { return system_clock().monotonic().count(); }

int snapshot(const std::string& file, std::uint64_t count, std::uint32_t builders) {
  if (auto written = bench::write_brief_snapshot(file, count, builders); !written)
    die(written.error());
  return 0;
}

int run(const std::string& session, const std::string& verb, const std::string& file,
        std::uint64_t count) {
  auto paths = wire::SessionPaths::of(session);
  if (!paths) die(paths.error());
  bench::BriefRun run;
  run.verb = verb;
  run.snapshot = file;
  run.count = count;
  run.on_accepted = [] {
    std::puts("accepted");
    std::fflush(stdout);
  };
  const auto elapsed = bench::do_brief_run(*paths, run);
  if (!elapsed) die(elapsed.error());
  fmt::print("{}\n", *elapsed);
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
