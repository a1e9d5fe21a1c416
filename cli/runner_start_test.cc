#include <catch2/catch.hpp>

#include "cli/options.h"
#include "cli/runner_order.h"
#include "cli/ssh_runners.h"

using namespace sluice;
using namespace sluice::cli;
using std::chrono::seconds;
using What = Restarts::Next::What;

namespace {

RunnerStartCommand start(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments);
  INFO(line.output);
  REQUIRE(line.command);
  return std::get<RunnerStartCommand>(*line.command);
}

std::string refused(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments);
  CHECK_FALSE(line.command);
  CHECK(line.status == kUsage);
  return line.output;
}

}  // namespace

TEST_CASE("the command line of runner start") {
  const auto ssh =
      start({"runner", "start", "--ssh", "b,c", "--ssh", "d", "--slots", "3", "--label", "big",
             "--label", "fast", "--lifetime", "2h", "--", "-p", "22", "-l", "me"});
  CHECK(ssh.ssh == std::vector<std::string>{"b", "c", "d"});
  CHECK(ssh.join.slots == 3);
  CHECK(ssh.join.labels == std::vector<std::string>{"big", "fast"});
  CHECK(ssh.join.lifetime_s == 7200);
  CHECK(ssh.engine_options == std::vector<std::string>{"-p", "22", "-l", "me"});
  CHECK(ssh.program == "sluice");
  const auto slurm = start({"runner", "start", "--slurm", "20", "--session", "x", "--program",
                            "/opt/sluice", "--", "--partition=build", "-t", "2:00:00"});
  CHECK(slurm.slurm == 20);
  CHECK(slurm.id == "x");
  CHECK(slurm.program == "/opt/sluice");
  CHECK(slurm.engine_options == std::vector<std::string>{"--partition=build", "-t", "2:00:00"});
  CHECK(refused({"runner", "start"}).find("--ssh or --slurm") != std::string::npos);
  CHECK(refused({"runner", "start", "--ssh", "b", "hostc"}).find("hostc") != std::string::npos);
  CHECK(refused({"runner", "start", "--ssh", "-oProxyCommand=x"}).find("no host") !=
        std::string::npos);
  refused({"runner", "start", "--ssh", "b", "--slurm", "2"});
  refused({"runner", "start", "--slurm", "0"});
}

TEST_CASE("a join file goes on one line") {
  const auto line = on_one_line("a.json", "{\n \"sluice-join\": 1,\n \"cas\": \"a\\nb\"\n}\n");
  REQUIRE(line);
  CHECK(*line == R"({"cas":"a\nb","sluice-join":1})");
  CHECK_FALSE(on_one_line("a.json", "{}"));
  CHECK_FALSE(on_one_line("a.json", "text"));
}

TEST_CASE("what ssh runs has nothing secret on its command line") {
  RunnerOrder order{"20261130-1", "{\"key\":\"secret\"}", "/opt/it's/sluice", {"--label", "a b"}};
  const auto argv = ssh_command({"-l", "me"}, "hostb", order);
  REQUIRE(argv.size() > 4);
  CHECK(std::vector<std::string>(argv.begin(), argv.begin() + 4) ==
        std::vector<std::string>{"ssh", "-T", "-l", "me"});
  CHECK(argv[argv.size() - 3] == "--");
  CHECK(argv[argv.size() - 2] == "hostb");
  const std::string input = ssh_input(order);
  CHECK(input.ends_with("{\"key\":\"secret\"}\n"));
  const auto script = input.size() - order.join.size() - 1;
  CHECK(argv.back() == "exec sh -c 'eval \"$(head -c " + std::to_string(script) +
                           ")\"' sluice '/opt/it'\\''s/sluice' '20261130-1' '--label' 'a b'");
}

TEST_CASE("a host after its connection has ended") {
  Restarts restarts;
  CHECK(restarts.ended(0, true, seconds(5)).what == What::kOver);
  CHECK(Restarts().ended(127, false, seconds(1)).what == What::kGivenUp);

  SECTION("that was never reached is given up") {
    for (const int delay : {1, 2}) {
      const auto next = restarts.ended(255, false, seconds(1));
      CHECK(next.what == What::kAgain);
      CHECK(next.delay == seconds(delay));
    }
    CHECK(restarts.ended(255, false, seconds(1)).what == What::kGivenUp);
  }
  SECTION("that was reached once is tried for ever, once a minute in the end") {
    restarts.ended(255, true, seconds(1));
    Restarts::Next next;
    for (int i = 0; i < 20; ++i) {
      next = restarts.ended(255, false, seconds(1));
      CHECK(next.what == What::kAgain);
    }
    CHECK(next.delay == seconds(60));
    // Connected again, it begins anew.
    CHECK(restarts.ended(255, true, seconds(1)).delay == seconds(1));
  }
  SECTION("whose runner fails at once is given up") {
    restarts.ended(1, true, seconds(1));
    restarts.ended(1, true, seconds(1));
    const auto next = restarts.ended(1, true, seconds(1));
    CHECK(next.what == What::kGivenUp);
    CHECK(next.why == "its runner ended with status 1, 3 times in a row; given up");
  }
  SECTION("whose runner lived for a while is not") {
    for (int i = 0; i < 10; ++i)
      CHECK(restarts.ended(137, true, seconds(100)).what == What::kAgain);
  }
}
