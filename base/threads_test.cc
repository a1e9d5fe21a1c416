#include "base/threads.h"

#include <atomic>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/skipped.h"

using namespace sluice;

namespace {

// An id that no process has: the limit is of all processes and threads of one user.
constexpr uid_t kNobodyElse = 2'000'000'123;

// Runs `work` in a process that may have so many threads in all; what it returns.
int with_threads(rlim_t limit, const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const struct rlimit few { limit, limit };
    // The limit doesn't bind root.
    if (::getuid() == 0 && ::setresuid(kNobodyElse, kNobodyElse, kNobodyElse) != 0) ::_exit(100);
    if (::setrlimit(RLIMIT_NPROC, &few) != 0) ::_exit(100);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

}  // namespace

TEST_CASE("a thread that can't be started is an error") {
  const int code = with_threads(1, [] {
    auto thread = start_thread([] {});
    return !thread && thread.error().reason == "eagain" ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("work is done by as many threads as there may be") {
  const auto count = [] {
    std::atomic<bool> all{false};  // are there: one that had ended would make room for another
    std::atomic<int> done{0};
    std::atomic<int> left{100};
    const auto work = [&] {
      all.wait(false);
      while (left.fetch_sub(1) > 0) ++done;
    };
    Helpers helpers;
    helpers.start(4, work);
    const auto started = static_cast<int>(helpers.size());
    all = true;
    all.notify_all();
    work();
    helpers.join();
    return done == 100 && helpers.empty() ? started : 50;
  };
  CHECK(with_threads(1, count) == 0);
  CHECK(count() == 3);
  if (::getuid() != 0)
    return say_skipped(
        "what the user has else counts too: root alone can tell how many threads there may be");
  CHECK(with_threads(3, count) == 2);
}
