// How a batch of commands runs and ends, and what is kept of it: spec/sandbox.md sections 4 to 8,
// SHALL by SHALL, in real sandboxes, as root (when the test runs as root) and as an ordinary user.
#include <csignal>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/process_tree.h"
#include "jobs/test_support.h"
#include "store/key_inputs.h"
#include "store/tree.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

TEST_CASE("J31: what a key was made of is in the store when its artifact is") {
  World world;
  World::Element element;
  element.dependencies = {world.base()};
  element.config.set("build-commands", model::Node::make_list({model::Node::make_scalar("true")}));
  element.key_inputs = "{\"kind\":\"manual\"}";
  const Outcome outcome = run(world.job(element));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(store::read_key_inputs(*world.cas, outcome.result.artifact->key).value() ==
        element.key_inputs);
}

TEST_CASE("S13, S20: the first failing command ends the batch, and what it left is cached") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(world, uid,
                                  {"echo half > result; echo i > /buildstream-install/i",
                                   "echo to-the-log; false", "echo never"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kFailure);
    CHECK(outcome.result.error->domain == "sandbox");
    CHECK(outcome.result.error->reason == "command-failed");
    CHECK(outcome.result.error->message == "Command failed");
    CHECK(has(outcome.log, "Command 'echo to-the-log; false' failed with exitcode 1"));
    CHECK_FALSE(has(outcome.log, "\nnever\n"));
    CHECK(outcome.said("failure", "Running commands"));
    store::Artifacts artifacts(*world.cas);
    auto info = artifacts.lookup("test", "element.bst", outcome.result.artifact->key);
    REQUIRE(info);
    REQUIRE(*info);
    CHECK_FALSE((*info)->build_success);
    CHECK((*info)->files.empty());
    auto buildtree = store::Tree::open(*world.cas, (*info)->buildtree);
    REQUIRE(buildtree);
    CHECK(buildtree->list().value() == std::vector<std::string>{"result"});
    auto root = store::Tree::open(*world.cas, (*info)->buildroot);
    REQUIRE(root);
    CHECK(root->find("buildstream-install/i").value());
    CHECK(root->find("buildstream/test/element.bst/result").value());
    CHECK(root->find("bin/sh").value());
    REQUIRE((*info)->sandbox);
    CHECK((*info)->sandbox->working_directory == "/buildstream/test/element.bst");
    CHECK((*info)->sandbox->marked_directories ==
          std::vector<std::string>{"/buildstream/test/element.bst", "/buildstream-install"});
  }
}

TEST_CASE("S15: a root without a shell is the element's failure, named") {
  World world;
  write_text(world.directory / "empty/etc/motd", "hello");
  World::Element element;
  element.dependencies = {world.add_artifact("no-shell.bst", world.directory / "empty")};
  element.config.set("build-commands", model::Node::make_list({model::Node::make_scalar("true")}));
  const Outcome outcome = run(world.job(element));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kFailure);
  CHECK(outcome.result.error->reason == "missing-command");
  CHECK(outcome.result.error->message == "Staged artifacts do not provide command 'sh'");
}

TEST_CASE("S15, J45: a shell that the store lost is nobody's failure, and nothing is cached") {
  World world;
  // With a build tree the artifact of a failure would be refused for want of the same blob.
  world.settings.cache_buildtrees = "never";
  const JobStart job = world.manual({"true"});
  auto tree = store::Tree::open(*world.cas, world.base().files);
  REQUIRE(world.cas->remove(tree->directory_digest("bin").value()));
  const Outcome outcome = run(job);
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->domain + "/" + outcome.result.error->reason == "cas/missing-blob");
  CHECK_FALSE(outcome.result.artifact);
}

TEST_CASE("S16: without bubblewrap nothing fails but the attempt, and nothing is cached") {
  World world;
  auto start = world.manual({"true"});
  const std::string path = ::getenv("PATH");
  // setpriv and ldd were found already; the job finds no bwrap.
  ::setenv("PATH", "/nonexistent", 1);
  const Outcome outcome = run(start);
  ::setenv("PATH", path.c_str(), 1);
  REQUIRE(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->reason == "unavailable-local-sandbox");
  store::Artifacts artifacts(*world.cas);
  CHECK_FALSE(artifacts.read("test", "element.bst", start.job.keys.full).value());
}

TEST_CASE("S18: set-id bits, sockets and FIFOs are not captured; links and execute bits are") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(
        world, uid,
        {"cd /buildstream-install; echo a > plain; echo b > setuid; chmod 6755 setuid; mkfifo "
         "pipe; ln -s ../../../etc/passwd up; "
         "ln plain hard; mkdir closed; echo c > closed/in; chmod 000 closed/in; chmod 111 closed"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    auto tree = store::Tree::open(*world.cas, outcome.result.artifact->files);
    REQUIRE(tree);
    CHECK(tree->list().value() ==
          std::vector<std::string>{"hard", "plain", "setuid", "up", "closed", "closed/in"});
    CHECK(tree->find("setuid").value()->executable);
    CHECK_FALSE(tree->find("plain").value()->executable);
    CHECK(tree->find("up").value()->target == "../../../etc/passwd");
  }
}

TEST_CASE("S18: a name that is not UTF-8 is told of as the build sees it") {
  const auto said = [](const Outcome& outcome) {
    return outcome.result.error ? outcome.result.error->message : std::string("no error");
  };
  {
    World world;
    const Outcome outcome =
        run(world.manual({"mkdir -p /buildstream-install/usr; touch "
                          "\"/buildstream-install/usr/caf$(printf '\\351')\\002\""}));
    INFO(outcome.log);
    CHECK(outcome.result.status == model::Outcome::kError);
    CHECK(has(said(outcome), "/buildstream-install/usr/caf\\xe9"));
    CHECK(has(said(outcome), "not UTF-8"));
    CHECK_FALSE(has(said(outcome), "slot-"));
  }
  {
    World world;
    const Outcome outcome =
        run(world.manual({"ln -s \"$(printf '\\377')\" /buildstream-install/link"}));
    INFO(outcome.log);
    CHECK(has(said(outcome), "/buildstream-install/link: the link's target is not UTF-8: \\xff"));
  }
  {
    World world;
    World::Element element;
    element.kind = "script";
    element.dependencies = {world.base()};
    model::Node commands = model::Node::make_list();
    commands.list.push_back(
        model::Node::make_scalar("mkdir -p /made; touch \"/made/$(printf 'a\\300')\""));
    element.config.set("commands", std::move(commands));
    const Outcome outcome = run(world.job(element));
    INFO(outcome.log);
    CHECK(said(outcome).starts_with("/made/a\\xc0: the name is not UTF-8"));
  }
}

TEST_CASE("S19: integration runs once for a root, its output is in every log") {
  for (const unsigned uid : users()) {
    World world;
    model::Node bst = model::Node::make_map();
    bst.set("integration-commands",
            model::Node::make_list({model::Node::make_scalar(
                "echo integrating; echo done > /integrated; test \"$HOME\" = /own")}));
    model::Node data = model::Node::make_map();
    data.set("bst", std::move(bst));
    write_text(world.directory / "more/etc/more", "x");
    const auto more = world.add_artifact("more.bst", world.directory / "more", data,
                                         {{"PATH", "/bin"}, {"HOME", "/own"}});
    std::vector<Duration> times;
    for (const char* name : {"first.bst", "second.bst"}) {
      World::Element element;
      element.name = name;
      element.dependencies = {world.base(), more};
      element.config.set(
          "build-commands",
          model::Node::make_list({model::Node::make_scalar(
              "test \"$HOME\" = /tmp; test -e /integrated; touch /integrated && exit 7; true")}));
      auto start = world.job(element);
      world.give_to(uid);
      const Outcome outcome = run(start, uid);
      INFO(outcome.log);
      REQUIRE(outcome.result.status == model::Outcome::kSuccess);
      CHECK(has(outcome.log, "\nintegrating\n"));
      CHECK(has(outcome.log, "START   " + std::string(name) + ": Running commands"));
    }
    CHECK(store_damage(world) == "");
  }
}

TEST_CASE("S21: a killed job process leaves no process behind") {
  for (const unsigned uid : users()) {
    World world;
    auto start =
        world.manual({"setsid sh -c 'while :; do sleep 1; done' & setsid sleep 1000 & sleep 1000"});
    world.give_to(uid);
    RunningJob job(start, uid);
    REQUIRE(wait_until([&] { return descendants(job.pid()).size() >= 6; }));
    std::vector<UniqueFd> alive;
    std::vector<pid_t> pids;
    for (const auto& process : descendants(job.pid())) pids.push_back(process.pid);
    REQUIRE(send_signal(job.process(), SIGKILL));
    CHECK(wait_until(
        [&] {
          for (const pid_t pid : pids) {
            const char state = process_state(pid);
            if (state != '\0' && state != 'Z' && state != 'X') return false;
          }
          return true;
        },
        std::chrono::seconds(5)));
    const Outcome outcome = job.finish();
    CHECK(outcome.died);
  }
}

TEST_CASE("S21: what a command leaves running ends with its batch") {
  for (const unsigned uid : users()) {
    World world;
    const std::string mark = fmt::format("98{}", ::getpid());
    const Outcome outcome =
        build(world, uid, {"setsid sleep " + mark + " </dev/null >/dev/null 2>&1 & true"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(std::system(("grep -lz '^" + mark + "$' /proc/[0-9]*/cmdline >/dev/null 2>&1").c_str()) !=
          0);
  }
}

TEST_CASE(
    "S23, S24: freezing stops every process of a job within a second, and its time stands still") {
  for (const unsigned uid : users()) {
    World world;
    auto start =
        world.manual({"setsid sh -c 'while test ! -e stop; do :; done' & sh -c 'while test ! -e "
                      "stop; do :; done' & sleep 0.5; touch stop; wait"});
    world.give_to(uid);
    RunningJob job(start, uid);
    REQUIRE(wait_until([&] { return descendants(job.pid()).size() >= 5; }));
    Freezer freezer(job.pid());
    // The runner gives a freeze 800 ms; a busy machine may take that long to run the processes that
    // are to stop.
    const Duration began = system_clock().monotonic();
    const auto frozen = freezer.freeze(std::chrono::milliseconds(800));
    if (!frozen) FAIL(frozen.error().str());
    CHECK(system_clock().monotonic() - began < std::chrono::seconds(1));
    const auto ticks = [&] {
      std::string all;
      for (const auto& process : descendants(job.pid())) {
        const std::string stat = read_text(fmt::format("/proc/{}/stat", process.pid));
        // utime and stime are fields 14 and 15.
        std::string rest = stat.substr(stat.rfind(')') + 2);
        for (int i = 0; i < 11; ++i) rest = rest.substr(rest.find(' ') + 1);
        all +=
            fmt::format("{} {};", process.pid, rest.substr(0, rest.find(' ', rest.find(' ') + 1)));
      }
      return all;
    };
    const std::string before = ticks();
    const Duration pause = std::chrono::seconds(2);
    ::usleep(2'000'000);  // the pause itself is what is tested
    CHECK(ticks() == before);
    job.note({"paused", pause.count()});
    freezer.thaw();
    const Outcome outcome = job.finish();
    INFO(outcome.log);
    CHECK(outcome.result.status == model::Outcome::kSuccess);
    CHECK(outcome.result.elapsed < Duration(std::chrono::milliseconds(1900)).count());
  }
}

TEST_CASE("S25, S27: a cancelled job ends as killed and leaves no scratch") {
  for (const unsigned uid : users()) {
    World world;
    auto start = world.manual({"sleep 1000"});
    world.give_to(uid);
    RunningJob job(start, uid);
    REQUIRE(wait_until([&] { return descendants(job.pid()).size() >= 3; }));
    REQUIRE(send_signal(job.process(), SIGTERM));
    const Outcome outcome = job.finish();
    CHECK(outcome.result.status == model::Outcome::kKilled);
    CHECK(has(outcome.log, "Forcefully terminated"));
    // Empty directories alone are left, for the next attempt in the slot.
    CHECK(std::system(("test -z \"$(find " + start.scratch + " ! -type d)\"").c_str()) == 0);
    store::Artifacts artifacts(*world.cas);
    CHECK_FALSE(artifacts.read("test", "element.bst", start.job.keys.full).value());
  }
}
