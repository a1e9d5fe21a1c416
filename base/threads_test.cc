#include "base/threads.h"

#include <atomic>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/few_threads.h"
#include "tests/support/skipped.h"

using namespace sluice;
using sluice::testing::with_threads;

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
