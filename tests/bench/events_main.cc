// The processes of tests/bench/events.py:
// - `events_bench publish ENDPOINT COUNT BATCH`: records with whole contexts of jobs, BATCH a turn
//   of the loop; ends when all are acknowledged, which is when they are in the broker's log.
// - `events_bench read ENDPOINT COUNT`: reads and decodes them.
// - `events_bench send ENDPOINT COUNT BATCH`: messages of the same frames and sizes, over a bare
//   DEALER.
// - `events_bench receive ENDPOINT COUNT`: takes those, over a bare ROUTER that it binds.
// - `events_bench relay ENDPOINT COUNT`: passes them on, over one that it binds, to the first that
//   said something.
// - `events_bench fetch ENDPOINT COUNT`: says something to the relay, and takes them.
//
// COUNT is of records, also for the bare ones. Each prints "ready" when it can begin, begins with a
// line on standard input, and prints the nanoseconds of CLOCK_MONOTONIC at which it began and
// ended.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include <unistd.h>

#include <fmt/format.h>
#include <zmq.h>

#include "base/clock.h"
#include "wire/events.h"
#include "wire/reactor.h"
#include "wire/record_publisher.h"
#include "wire/record_reader.h"
#include "wire/zap.h"

namespace {

using namespace sluice;

[[noreturn]] void die(const Error& error) {
  fmt::print(stderr, "events_bench: {}\n", error.str());
  std::exit(1);
}

template <typename T>
T take(Result<T> result) {
  if (!result) die(result.error());
  return std::move(*result);
}

// job.finished, as the scheduler publishes it: the sections are packed, and joined for each record.
class Sample {
 public:
  Sample() {
    wire::SessionSection session{"20260101-000000-1-0001", "benchmark", "build", 1, 2, "active"};
    wire::RunSection run{1, "build", 3, 4, 200, 202};
    wire::ElementSection element{"benchmark", "components/a-library-of-usual-name.bst",
                                 "autotools", std::string(64, 'a'),
                                 "aaaaaaaa",  true,
                                 "cached"};
    wire::JobSection job{
        7,
        "build",
        1,
        "runner",
        "host",
        1,
        5,
        6,
        "/home/user/.cache/buildstream/logs/benchmark/components-a-library/aaaaaaaa-build.log"};
    std::vector<wire::QueueSection> queues{{"Fetch", 1, 2, 3, 4, 5}, {"Build", 1, 2, 3, 4, 5}};
    parts_ = {wire::pack_section("session", session), wire::pack_section("run", run),
              wire::pack_section("element", element), wire::pack_section("job", job),
              wire::pack_section("queues", queues)};
  }
  std::string packed(std::uint64_t number) const {
    wire::EventHead head{.type = "job.finished",
                         .time = static_cast<std::int64_t>(number),
                         .level = "success",
                         .text = "Build",
                         .outcome = "success"};
    return wire::pack_event(head, {parts_[0], parts_[1], parts_[2], parts_[3], parts_[4]});
  }

 private:
  std::vector<std::string> parts_;
};

std::int64_t now() { return system_clock().monotonic().count(); }

std::int64_t wait_for_start() {
  std::puts("ready");
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
  return now();
}

int done(std::int64_t began, std::int64_t ended) {
  fmt::print("{} {}\n", began, ended);
  return 0;
}

wire::Hello hello(const char* role) {
  return {"records/1", SLUICE_VERSION, role, fmt::format("bench-{}", ::getpid()), 1};
}

int publish(const std::string& endpoint, std::uint64_t count, std::uint64_t batch) {
  wire::Context context;
  wire::Reactor reactor;
  wire::RecordPublisher::Settings settings;
  settings.endpoint = endpoint;
  settings.hello = hello("runner");
  auto publisher = take(wire::RecordPublisher::create(context, reactor, std::move(settings)));
  const Sample sample;
  const std::int64_t began = wait_for_start();
  std::uint64_t sent = 0;
  while (publisher->acknowledged() < count) {
    for (std::uint64_t i = 0; i < batch && sent < count && !publisher->full(); ++i)
      publisher->publish("job.finished", sample.packed(++sent));
    publisher->flush();
    reactor.run_once(sent < count && !publisher->full() ? Duration::zero()
                                                        : Duration(std::chrono::milliseconds(100)));
  }
  return done(began, now());
}

int read(const std::string& endpoint, std::uint64_t count) {
  wire::Context context;
  wire::Reactor reactor;
  wire::RecordReader::Settings settings;
  settings.endpoint = endpoint;
  settings.hello = hello("client");
  std::uint64_t seen = 0;
  auto reader = take(wire::RecordReader::create(
      context, reactor, std::move(settings),
      [&](std::string_view packed) {
        auto event = wire::decode_event(packed);
        if (!event) die(event.error());
        if (event->type == "job.finished" && event->job && ++seen == count) reactor.stop();
      },
      [&](bool) {
        die({"session", "ended", "the records ended too early", {}, {}});
      }));
  const std::int64_t began = wait_for_start();
  reactor.run();
  return done(began, now());
}

// Bare libzmq, blocking.
class Bare {
 public:
  explicit Bare(int kind) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, kind)) {}
  ~Bare() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  void* socket() const { return socket_; }
  void check(bool good) const {
    if (!good) die({"wire", "zeromq", zmq_strerror(zmq_errno()), {}, {}});
  }

 private:
  void* context_;
  void* socket_;
};

int send(const std::string& endpoint, std::uint64_t count, std::uint64_t batch) {
  Bare bare(ZMQ_DEALER);
  bare.check(zmq_connect(bare.socket(), endpoint.c_str()) == 0);
  const std::string record = Sample().packed(1);
  const std::int64_t began = wait_for_start();
  for (std::uint64_t sent = 0; sent < count;) {
    const std::uint64_t some = std::min(batch, count - sent);
    std::string body;
    body.reserve(some * record.size());
    for (std::uint64_t i = 0; i < some; ++i) body += record;
    bare.check(zmq_send(bare.socket(), "APPEND", 6, ZMQ_SNDMORE) >= 0 &&
               zmq_send(bare.socket(), body.data(), body.size(), 0) >= 0);
    sent += some;
  }
  return done(began, now());
}

// Takes messages until their bodies have the bytes of `count` records, and gives each frame to
// `each`.
template <typename Each>
int take_all(const Bare& bare, std::uint64_t count, const Each& each) {
  const std::size_t size = Sample().packed(1).size();
  const std::int64_t began = wait_for_start();
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  for (std::uint64_t bytes = 0; bytes < count * size;) {
    bare.check(zmq_msg_recv(&frame, bare.socket(), 0) >= 0);
    if (!zmq_msg_more(&frame)) bytes += zmq_msg_size(&frame);
    each(frame);
  }
  zmq_msg_close(&frame);
  return done(began, now());
}

int receive(const std::string& endpoint, std::uint64_t count) {
  Bare bare(ZMQ_ROUTER);
  bare.check(zmq_bind(bare.socket(), endpoint.c_str()) == 0);
  return take_all(bare, count, [](zmq_msg_t&) {});
}

int relay(const std::string& endpoint, std::uint64_t count) {
  Bare bare(ZMQ_ROUTER);
  // Waits for a receiver that is slow, where it would drop.
  const int mandatory = 1;
  bare.check(zmq_setsockopt(bare.socket(), ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory) ==
             0);
  bare.check(zmq_bind(bare.socket(), endpoint.c_str()) == 0);
  char receiver[256];
  const int length = zmq_recv(bare.socket(), receiver, sizeof receiver, 0);
  bare.check(length > 0 && zmq_recv(bare.socket(), nullptr, 0, 0) >= 0);
  bool identity = true;
  return take_all(bare, count, [&](zmq_msg_t& frame) {
    const bool more = zmq_msg_more(&frame) != 0;
    bare.check(
        (identity ? zmq_send(bare.socket(), receiver, static_cast<std::size_t>(length), ZMQ_SNDMORE)
                  : zmq_msg_send(&frame, bare.socket(), more ? ZMQ_SNDMORE : 0)) >= 0);
    identity = !more;
  });
}

int fetch(const std::string& endpoint, std::uint64_t count) {
  Bare bare(ZMQ_DEALER);
  bare.check(zmq_connect(bare.socket(), endpoint.c_str()) == 0 &&
             zmq_send(bare.socket(), "NEXT", 4, 0) == 4);
  return take_all(bare, count, [](zmq_msg_t&) {});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "size") return fmt::print("{}\n", Sample().packed(1).size()), 0;
  const std::uint64_t count = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  const std::uint64_t batch = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
  if (count > 0 && what == "read") return read(argv[2], count);
  if (count > 0 && what == "receive") return receive(argv[2], count);
  if (count > 0 && what == "relay") return relay(argv[2], count);
  if (count > 0 && what == "fetch") return fetch(argv[2], count);
  if (count > 0 && batch > 0 && what == "publish") return publish(argv[2], count, batch);
  if (count > 0 && batch > 0 && what == "send") return send(argv[2], count, batch);
  std::fputs(
      "usage: events_bench size | publish ENDPOINT COUNT BATCH | read ENDPOINT COUNT | send ... | "
      "receive ... | relay ... | fetch ...\n",
      stderr);
  return 2;
}
