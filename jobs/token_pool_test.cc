#include "jobs/token_pool.h"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "elements/makeflags.h"
#include "jobs/names.h"

using namespace sluice;
using namespace sluice::jobs;
using std::chrono::milliseconds;

namespace {

// Client is a job as make is one: it reads a token for each process beside its first.
struct Client {
  TokenPool::Ends ends;
  // Takes a token; whether one came within the time.
  bool take(wire::Reactor& reactor, Duration within = milliseconds(100)) {
    const Duration until = system_clock().monotonic() + within;
    for (;;) {
      pollfd fd{ends.read.get(), POLLIN, 0};
      char token = 0;
      if (::poll(&fd, 1, 0) == 1 && ::read(ends.read.get(), &token, 1) == 1) {
        while (reactor.run_once(Duration(0)) && ::poll(&fd, 1, 0) == 0 &&
               system_clock().monotonic() < until - within + milliseconds(5)) {
        }
        return true;
      }
      if (system_clock().monotonic() >= until) return false;
      reactor.run_once(milliseconds(2));
    }
  }
  int take_all(wire::Reactor& reactor) {
    int count = 0;
    while (take(reactor, milliseconds(20))) ++count;
    return count;
  }
  void give(wire::Reactor& reactor, int count = 1) {
    for (int i = 0; i < count; ++i) REQUIRE(::write(ends.write.get(), "+", 1) == 1);
    reactor.run_once(milliseconds(10));
  }
};

struct Bench {
  wire::Reactor reactor;
  TokenPool pool{reactor};
  Client add(std::uint64_t job, std::uint32_t most = 100, std::uint32_t total = 4) {
    auto ends = pool.add({job, 1}, total);
    REQUIRE(ends);
    if (most > 0) pool.want({job, 1}, most);
    return {std::move(*ends)};
  }
};

}  // namespace

TEST_CASE("one job alone has all processors but its first, and no more than it can use") {
  Bench b;
  Client all = b.add(1);
  CHECK(all.take_all(b.reactor) == 3);
  CHECK(b.pool.available() == 0);
  all.give(b.reactor, 3);
  CHECK(all.take_all(b.reactor) == 3);
  b.pool.remove({1, 1});
  Client two = b.add(2, 2);
  CHECK(two.take_all(b.reactor) == 2);
}

TEST_CASE("nothing is offered to a job before it has said that it can use it") {
  Bench b;
  Client idle = b.add(1, 0);
  CHECK(idle.take_all(b.reactor) == 0);
  CHECK(b.pool.available() == 3);
}

TEST_CASE("jobs together have so many processes as the host, what one gives back another gets") {
  Bench b;
  Client one = b.add(1);
  CHECK(one.take_all(b.reactor) == 3);
  Client two = b.add(2);
  CHECK(b.pool.available() == -1);  // nobody can keep a job's first process back
  CHECK(two.take_all(b.reactor) == 0);
  one.give(b.reactor);
  CHECK(b.pool.available() == 0);
  CHECK(two.take_all(b.reactor) == 0);
  one.give(b.reactor);
  CHECK(two.take(b.reactor));
}

TEST_CASE("the tokens of a job that was killed are free, taken or only offered") {
  Bench b;
  {
    Client killed = b.add(1);
    CHECK(killed.take(b.reactor));
    CHECK(killed.take(b.reactor));
  }
  b.reactor.run_once(milliseconds(10));
  b.pool.remove({1, 1});
  CHECK(b.pool.available() == 4);
  Client next = b.add(2);
  CHECK(next.take_all(b.reactor) == 3);
}

TEST_CASE("nobody makes tokens by giving back what he never had") {
  Bench b;
  Client cheat = b.add(1);
  cheat.give(b.reactor, 50);
  CHECK(cheat.take_all(b.reactor) == 3);
}

TEST_CASE("a token on offer that nobody takes moves on") {
  Bench b;
  Client idle = b.add(1), busy = b.add(2, 100, 3);  // one token is left beside two first processes
  int taken = 0;
  // The busy job gets the token in the end, whichever has it on offer first.
  if (busy.take(b.reactor, milliseconds(3000))) ++taken;
  CHECK(taken == 1);
  CHECK(b.pool.available() == 0);
}

TEST_CASE("how many processes: as many as the machine has that builds (J84)") {
  model::ElementBody body;
  body.variables = {{"max-jobs", "8"}};
  body.environment_nocache = {"MAKEFLAGS", "JOBS", "MAXJOBS", "V", "FLAGS"};
  const model::StringMap loaded = {
      {"MAKEFLAGS", "-j8 V=8 --jobs=8"}, {"JOBS", "-j 8 8"}, {"MAXJOBS", "8"}, {"V", "8"},
      {"FLAGS", "-j88 -O8 --jobs  8"},   {"CFLAGS", "-j8"}};
  const model::StringMap here = {
      {"MAKEFLAGS", "-j2 V=8 --jobs=2"}, {"JOBS", "-j 2 8"}, {"MAXJOBS", "2"}, {"V", "8"},
      {"FLAGS", "-j88 -O8 --jobs  2"},   {"CFLAGS", "-j8"}};
  CHECK(elements::with_jobs(loaded, body, 2) == here);
  CHECK(elements::with_jobs(loaded, body, 8) == loaded);
  body.variables.emplace_back("notparallel", "True");
  CHECK(elements::with_jobs(loaded, body, 2) == loaded);
  body.variables.clear();
  CHECK(elements::with_jobs(loaded, body, 2) == loaded);
}

TEST_CASE("what MAKEFLAGS say") {
  CHECK(tokens_of_makeflags("-j8") == 7);
  CHECK(tokens_of_makeflags("-k -j 3 --no-print-directory") == 2);
  CHECK(tokens_of_makeflags("--jobs=2") == 1);
  CHECK(tokens_of_makeflags("-j") == wire::kMostJobs);
  CHECK(tokens_of_makeflags("-j -k") == wire::kMostJobs);
  for (const char* none :
       {"", "-j1", "-j0", "-k", "V=1", "-jx", "-j8 --jobserver-auth=3,4", "-- X=-j8", "--jobs"}) {
    CAPTURE(none);
    CHECK(tokens_of_makeflags(none) == (std::string_view(none) == "--jobs" ? wire::kMostJobs : 0));
  }
}
