// What a build sees and can't do: spec/sandbox.md, SHALL by SHALL, from inside of real
// sandboxes, as root (when the test runs as root) and as an ordinary user.
#include "sandbox/sandbox.h"

#include <csignal>

#include <linux/keyctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/process_tree.h"
#include "jobs/names.h"
#include "jobs/test_support.h"
#include "store/check.h"
#include "store/key_inputs.h"
#include "store/tree.h"
#include "tests/support/skipped.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

void check_store(World& world) {
  auto report = store::verify_all(*world.cas);
  REQUIRE(report);
  CHECK(report->corrupt == std::vector<std::string>{});
  CHECK(report->incomplete == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("S1: files are the sandbox's own, with fixed modes, times and link counts") {
  for (const unsigned uid : users()) {
    World world;
    // The same content twice: one blob, two files.
    write_text(world.directory / "root/usr/share/a", "same");
    write_text(world.directory / "root/usr/share/b", "same");
    const Outcome outcome = build(
        world, uid,
        {marked("stat", "stat -c '%u %g %a %Y' /usr/share/a /usr/share/b /bin/sh /usr /bin /"),
         marked("inodes", "stat -c %i /usr/share/a /usr/share/b | sort -u"),
         marked("where", "stat -c '%Y %a' . /buildstream /buildstream/test /buildstream-install")});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    const std::string lines = between(outcome.log, "stat");
    CHECK(lines ==
          "0 0 644 1321009871\n0 0 644 1321009871\n0 0 755 1321009871\n0 0 755 1321009871\n0 0 755 "
          "1321009871\n0 0 755 1321009871\n");
    const std::string inodes = between(outcome.log, "inodes");
    CHECK(std::count(inodes.begin(), inodes.end(), '\n') == 2);
    CHECK(between(outcome.log, "where") ==
          "1321009871 755\n1321009871 755\n1321009871 755\n1321009871 755\n");
  }
}

TEST_CASE("S2: a read-only root can be written in the marked directories, /tmp and /dev alone") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(
        world, uid,
        {"touch x /buildstream-install/y /tmp/z /dev/shm/q",
         marked(
             "write",
             "for f in /x /bin/x /bin/sh /usr/x /buildstream/x /buildstream/test/x /proc/x "
             "/proc/sys/kernel/core_pattern "
             "/proc/sys/vm/drop_caches; do (echo 1 >$f) 2>/dev/null && echo wrote $f; done; true"),
         "rm -f /bin/sh && exit 7; true", "mv /bin/sh /bin/sh2 && exit 7; true"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(between(outcome.log, "write") == "");
    CHECK(has(outcome.log, "Read-only file system"));
    check_store(world);
  }
}

TEST_CASE("S2, S9: the root can't be remounted, nor anything mounted") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(
        world, uid,
        {"mount -o remount,rw / && exit 7; true", "mount -o remount,bind,rw / && exit 7; true",
         "mount --bind /tmp /bin && exit 7; true",
         "mount -t tmpfs none /buildstream-install && exit 7; true",
         // A namespace of one's own gives capabilities there, but locked mounts stay as they are.
         "unshare -Urm sh -c 'mount -o remount,bind,rw /' && exit 7; true",
         "unshare -Urm sh -c 'mount -o remount,bind,rw / ; echo evil > /bin/sh' && exit 7; true",
         "touch /x && exit 7; true"});
    INFO(outcome.log);
    CHECK(outcome.result.status == model::Outcome::kSuccess);
    check_store(world);
  }
}

TEST_CASE(
    "S2: a read-only root stays so when it is the install root as well, as with BuildStream") {
  World world;
  World::Element element;
  element.kind = "script";
  element.dependencies = {world.base()};
  element.variables.emplace_back("install-root", "/");
  model::Node commands = model::Node::make_list();
  commands.list.push_back(model::Node::make_scalar("echo hi > /made"));
  element.config.set("commands", std::move(commands));
  element.config.set("root-read-only", model::Node::make_scalar("true"));
  const Outcome outcome = run(world.job(element), ::geteuid());
  INFO(outcome.log);
  CHECK(outcome.result.status == model::Outcome::kFailure);
  CHECK(has(outcome.log, "cannot create /made: Read-only file system"));
}

TEST_CASE("S3, S17: a writable root's changes are captured, and seen by nobody else") {
  for (const unsigned uid : users()) {
    World world;
    World::Element element;
    element.kind = "script";
    element.name = "script.bst";
    element.dependencies = {world.base()};
    model::Node commands = model::Node::make_list();
    for (const char* command :
         {"echo changed > /bin/cat", "rm /bin/ls", "echo new > /new; chmod 4755 /new",
          "mkdir -p /buildstream-install/usr",
          "cp /new /buildstream-install/usr/new; ln -s /etc/x /buildstream-install/link"}) {
      commands.list.push_back(model::Node::make_scalar(command));
    }
    element.config.set("commands", std::move(commands));
    auto start = world.job(element);
    world.give_to(uid);
    const Outcome outcome = run(start, uid);
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    auto tree = store::Tree::open(*world.cas, outcome.result.artifact->files);
    REQUIRE(tree);
    CHECK(tree->list().value() == std::vector<std::string>{"link", "usr", "usr/new"});
    // The next sandbox has the root as it was.
    const Outcome next =
        build(world, uid, {"ls /bin/ls && cat /bin/sh > /dev/null", "test ! -e /new"});
    INFO(next.log);
    CHECK(next.result.status == model::Outcome::kSuccess);
    check_store(world);
  }
}

TEST_CASE("S4: /tmp is empty and its own for each batch") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome first = build(world, uid, {"echo x > /tmp/file; ls /tmp"});
    REQUIRE(first.result.status == model::Outcome::kSuccess);
    const Outcome second = build(world, uid, {"test ! -e /tmp/file", marked("tmp", "ls -A /tmp")});
    INFO(second.log);
    CHECK(second.result.status == model::Outcome::kSuccess);
    CHECK(between(second.log, "tmp") == "");
  }
}

TEST_CASE("S5: /dev has the usual nodes and no other device") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(
        world, uid,
        {marked("dev", "ls /dev"),
         marked(
             "nodes",
             "for f in /dev/*; do if test ! -L $f && test -c $f -o -b $f; then echo $f; fi; done"),
         "echo x > /dev/null; head -c 4 /dev/zero > /dev/full && exit 7; true"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(between(outcome.log, "dev") ==
          "core\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"
          "\n");
    CHECK(between(outcome.log, "nodes") ==
          "/dev/full\n/dev/null\n/dev/random\n/dev/tty\n/dev/urandom\n/dev/zero\n");
  }
}

TEST_CASE(
    "S6: /proc shows the sandbox's processes alone, and nothing of it that matters outside can be "
    "written") {
  for (const unsigned uid : users()) {
    World world;
    const std::string before = read_text("/proc/sys/kernel/core_pattern");
    const Outcome outcome = build(
        world, uid,
        {marked("self", "for p in /proc/[0-9]*; do cat $p/cmdline; done"),
         "test ! -e /proc/" + std::to_string(::getpid()),
         "kill -9 " + std::to_string(::getpid()) + " && exit 7; true",
         // Other files of /proc may be open to all (/proc/pressure), as they are to any user
         // outside; mtrr asks for CAP_SYS_ADMIN itself.
         marked("writable",
                "find /proc -path '/proc/[0-9]*' -prune -o -path /proc/self -prune -o -path "
                "/proc/thread-self -prune -o "
                "-type f -writable ! -perm -2 ! -path /proc/mtrr -print 2>/dev/null || true")});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK_FALSE(has(between(outcome.log, "self"), "jobs_tests"));
    CHECK(between(outcome.log, "writable") == "");
    CHECK(read_text("/proc/sys/kernel/core_pattern") == before);
  }
}

TEST_CASE("S6: the first process, which can see the host, is out of reach") {
  for (const unsigned uid : users()) {
    World world;
    // Also as a capable user of a namespace below the sandbox's own, where the kernel lets there be
    // one.
    const std::string attempts =
        "for what in root cwd exe fd/0 fd/1; do ls -L /proc/1/$what 2>/dev/null && echo reached "
        "$what; done; "
        "for what in environ mem maps smaps; do cat /proc/1/$what >/tmp/out 2>/dev/null || true; "
        "test -s /tmp/out && echo read $what; done; "
        "nsenter -t 1 -m true 2>/dev/null && echo entered; umount /proc/sys 2>/dev/null && echo "
        "uncovered; true";
    const Outcome outcome =
        build(world, uid,
              {marked("own", attempts),
               marked("below", "unshare -Urm sh -c '" + attempts + "' 2>/dev/null || true"),
               "kill -STOP 1; kill -KILL 1; kill -TERM 1; echo still here"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    // The command line may be read, and names no more than bubblewrap's arguments.
    CHECK(between(outcome.log, "own") == "");
    CHECK(between(outcome.log, "below") == "");
    CHECK(has(outcome.log, "still here"));
  }
}

TEST_CASE("S7: namespaces of its own, no network, the host name buildbox") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome =
        build(world, uid,
              {marked("net", "tail -n +3 /proc/net/dev | cat"),
               marked("routes", "tail -n +2 /proc/net/route"),
               marked("host", "cat /proc/sys/kernel/hostname"),
               marked("spaces",
                      "for n in pid mnt net uts ipc user; do readlink /proc/self/ns/$n; done")});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    const std::string net = between(outcome.log, "net");
    CHECK(has(net, "lo:"));
    CHECK(std::count(net.begin(), net.end(), '\n') == 1);
    CHECK(between(outcome.log, "routes") == "");
    CHECK(between(outcome.log, "host") == "buildbox\n");
    const std::string spaces = between(outcome.log, "spaces");
    for (const char* space : {"pid", "mnt", "net", "uts", "ipc", "user"}) {
      char ours[64] = "";
      REQUIRE(::readlink(fmt::format("/proc/self/ns/{}", space).c_str(), ours, sizeof ours - 1) >
              0);
      CHECK_FALSE(has(spaces, ours));
      CHECK(has(spaces, fmt::format("{}:[", space)));
    }
  }
}

TEST_CASE("S8, S9, S12: ids, capabilities, privileges, umask") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(world, uid,
                                  {marked("id", "id -u; id -g; cat /proc/self/uid_map; umask"),
                                   marked("status", "cat /proc/self/status")});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    const std::string id = between(outcome.log, "id");
    CHECK(id.substr(0, 4) == "0\n0\n");
    CHECK(std::count(id.begin(), id.end(), '\n') == 4);  // one line of map: one id
    CHECK(has(id, "0022"));
    const std::string status = between(outcome.log, "status");
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      CHECK(has(status, fmt::format("{}:\t0000000000000000", set)));
    }
    CHECK(has(status, "NoNewPrivs:\t1"));
  }
}

TEST_CASE("S8: other ids when the element asks for them") {
  World world;
  World::Element element;
  element.dependencies = {world.base()};
  element.config.set(
      "build-commands",
      model::Node::make_list({model::Node::make_scalar(marked("id", "id -u; id -g"))}));
  auto start = world.job(element);
  auto packed = wire::decode<wire::JobElement>(start.job.element.bytes).value();
  auto body = wire::unpack_body(packed.body.bytes).value();
  body.sandbox.build_uid = 1234;
  body.sandbox.build_gid = 567;
  packed.body.bytes = wire::pack_body(body);
  start.job.element.bytes = wire::encode(packed);
  const Outcome outcome = run(start);
  INFO(outcome.log);
  CHECK(between(outcome.log, "id") == "1234\n567\n");
}

TEST_CASE(
    "S10, S11: the element's environment and no other; no descriptor but three; no terminal") {
  for (const unsigned uid : users()) {
    World world;
    ::setenv("SLUICE_TEST_LEAK", "secret", 1);
    const Outcome outcome =
        build(world, uid,
              {marked("env", "env | sort"), marked("fds", "ls -l /proc/self/fd"),
               "exec 2>&1; (: </dev/tty) && exit 7; true"});
    ::unsetenv("SLUICE_TEST_LEAK");
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    const std::string env = between(outcome.log, "env");
    CHECK(has(env, "PWD=/buildstream/test/element.bst\n"));
    CHECK(has(env, "HOME=/tmp\nPATH=/usr/bin:/bin\n"));
    CHECK_FALSE(has(env, "SLUICE"));
    CHECK_FALSE(has(env, "LD_"));
    // The three, and the one that ls has on the directory itself.
    const std::string fds = between(outcome.log, "fds");
    CHECK(std::count(fds.begin(), fds.end(), '\n') == 5);
    CHECK(has(fds, "0 -> /dev/null"));
    CHECK(has(fds, "1 -> pipe:["));
    CHECK(has(fds, "2 -> pipe:["));
  }
}

TEST_CASE("S10: no value of an environment is in an argument list") {
  World world;
  const auto integrated = [&](const std::string& name, const std::string& token) {
    model::Node bst = model::Node::make_map();
    bst.set("integration-commands", model::Node::make_list({model::Node::make_scalar(
                                        "echo \"$TOKEN\" >>/tokens; cat /proc/[0-9]*/cmdline; env "
                                        "| sort | head -n 50 >/left; echo listed")}));
    model::Node data = model::Node::make_map();
    data.set("bst", std::move(bst));
    write_text(world.directory / name + "/etc/" + name, "x");
    return world.add_artifact(name, world.directory / name, data,
                              {{"PATH", "/bin"}, {"TOKEN", token}});
  };
  World::Element element;
  element.dependencies = {world.base(), integrated("one.bst", "hush-1"),
                          integrated("two.bst", "hush-2")};
  element.config.set(
      "build-commands",
      model::Node::make_list({model::Node::make_scalar(
          "cat /proc/[0-9]*/cmdline; echo; for t in $(cat /tokens) $TOKEN; do echo token "
          "${t#hush-}; done; "
          "while read -r line; do case $line in SLUICE*) exit 7; esac; done </left")}));
  auto start = world.job(element);
  auto packed = wire::decode<wire::JobElement>(start.job.element.bytes).value();
  auto body = wire::unpack_body(packed.body.bytes).value();
  body.environment.emplace_back("TOKEN", "hush-3");
  packed.body.bytes = wire::pack_body(body);
  start.job.element.bytes = wire::encode(packed);
  const Outcome outcome = run(start);
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(has(outcome.log, "\ntoken 1\ntoken 2\ntoken 3\n"));
  CHECK(has(outcome.log, "listed"));
  // From where command lines are listed; the log's head tells of the element's environment, as
  // BuildStream's does.
  const std::size_t lists = outcome.log.find("--unshare-user");
  REQUIRE(lists != std::string::npos);
  for (const char* token : {"hush-1", "hush-2", "hush-3"})
    CHECK(outcome.log.find(token, lists) == std::string::npos);
}

TEST_CASE("S10: an environment that would hijack a loader does nothing outside of the sandbox") {
  World world;
  World::Element element;
  element.dependencies = {world.base()};
  element.config.set("build-commands", model::Node::make_list({model::Node::make_scalar("true")}));
  auto start = world.job(element);
  auto packed = wire::decode<wire::JobElement>(start.job.element.bytes).value();
  auto body = wire::unpack_body(packed.body.bytes).value();
  // with it bubblewrap itself would run nothing
  body.environment.emplace_back("LD_TRACE_LOADED_OBJECTS", "1");
  packed.body.bytes = wire::pack_body(body);
  start.job.element.bytes = wire::encode(packed);
  const Outcome outcome = run(start);
  INFO(outcome.log);
  // Inside, the shell's loader obeys; outside, bubblewrap's must not have seen it.
  CHECK(outcome.log.find("bwrap") == std::string::npos);
  CHECK(outcome.result.status == model::Outcome::kSuccess);
}

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
    check_store(world);
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
    // The runner gives it 800 ms; a busy machine may take that long to run who is to stop.
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
    // Nothing but empty directories, for the next attempt in the slot.
    CHECK(std::system(("test -z \"$(find " + start.scratch + " ! -type d)\"").c_str()) == 0);
    store::Artifacts artifacts(*world.cas);
    CHECK_FALSE(artifacts.read("test", "element.bst", start.job.keys.full).value());
  }
}

TEST_CASE("S26: no mount is left in the test's own namespace") {
  World world;
  const std::string before = read_text("/proc/self/mounts");
  World::Element element;
  element.kind = "script";
  element.dependencies = {world.base()};
  element.config.set("commands", model::Node::make_list(
                                     {model::Node::make_scalar("touch /buildstream-install/x")}));
  REQUIRE(run(world.job(element)).result.status == model::Outcome::kSuccess);
  CHECK(read_text("/proc/self/mounts") == before);
}

namespace {

// What `probe` says of each name, as "NAME: ERROR\n" lines.
std::string probed(World& world, unsigned uid, const std::vector<std::string>& names,
                   const std::string& before = "") {
  std::string command = before + "probe";
  for (const std::string& name : names) command += " " + name;
  const Outcome outcome = build(world, uid, {marked("probe", command)});
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  return between(outcome.log, "probe");
}

std::string lines_of(const std::vector<std::string>& names, const std::string& answer) {
  std::string all;
  for (const std::string& name : names) all += name + ": " + answer + "\n";
  return all;
}

}  // namespace

TEST_CASE(
    "S29, S30: system calls that lead out of the namespaces are refused, by the entry of 32-bit "
    "programs too") {
  for (const unsigned uid : users()) {
    World world;
    const std::vector<std::string> rights{
        "tiocsti", "tiocsti-high",  "tioclinux",  "add_key", "request_key",
        "keyctl",  "unshare-user",  "clone-user", "mount",   "umount2",
        "setns",   "get_mempolicy", "syslog"};
    CHECK(probed(world, uid, rights) == lines_of(rights, "EPERM"));
    const std::vector<std::string> absent{"clone3", "fsopen", "open_tree", "mount_setattr"};
    CHECK(probed(world, uid, absent) == lines_of(absent, "ENOSYS"));
    const std::vector<std::string> families{"vsock",  "vsock-high", "alg",
                                            "packet", "key-socket", "tipc-pair"};
    CHECK(probed(world, uid, families) == lines_of(families, "EAFNOSUPPORT"));
#ifdef __x86_64__
    CHECK(probed(world, uid, {"x32-getpid"}) == "x32-getpid: ENOSYS\n");
    // A kernel without that entry ends whoever uses it.
    if (std::system((find_program("jobs_probe") + " narrow-getpid >/dev/null").c_str()) != 0)
      continue;
    const std::vector<std::string> narrow{"narrow-tiocsti", "narrow-keyctl", "narrow-unshare-user",
                                          "narrow-mount"};
    CHECK(probed(world, uid, narrow) == lines_of(narrow, "EPERM"));
    CHECK(probed(world, uid,
                 {"narrow-clone3", "narrow-vsock", "narrow-socketcall", "narrow-getpid"}) ==
          "narrow-clone3: ENOSYS\nnarrow-vsock: EAFNOSUPPORT\nnarrow-socketcall: "
          "EAFNOSUPPORT\nnarrow-getpid: done\n");
#endif
  }
}

TEST_CASE("S31: what builds and their tests need is allowed") {
  for (const unsigned uid : users()) {
    World world;
    const std::vector<std::string> needed{"unix",        "inet",       "inet6",
                                          "netlink",     "unshare-fs", "clone",
                                          "personality", "fionread",   "ptrace"};
    CHECK(probed(world, uid, needed) == lines_of(needed, "done"));
  }
}

#ifdef __x86_64__
TEST_CASE(
    "S30: a build for the 32-bit architecture has its old call for sockets, and no other right "
    "more") {
  World world;
  World::Element element;
  element.dependencies = {world.base()};
  element.config.set("build-commands",
                     model::Node::make_list({model::Node::make_scalar(
                         marked("machine", "uname -m") + "; " +
                         marked("probe",
                                "probe vsock alg keyctl unshare-user narrow-keyctl "
                                "narrow-socketcall narrow-clone3"))}));
  auto start = world.job(element);
  auto packed = wire::decode<wire::JobElement>(start.job.element.bytes).value();
  auto body = wire::unpack_body(packed.body.bytes).value();
  body.sandbox.build_arch = "x86-32";
  packed.body.bytes = wire::pack_body(body);
  start.job.element.bytes = wire::encode(packed);
  if (std::system((find_program("jobs_probe") + " narrow-getpid >/dev/null").c_str()) != 0) {
    return say_skipped("this kernel runs no programs of the 32-bit architecture");
  }
  const Outcome outcome = run(start);
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(between(outcome.log, "machine") == "i686\n");
  CHECK(between(outcome.log, "probe") ==
        "vsock: EAFNOSUPPORT\nalg: EAFNOSUPPORT\nkeyctl: EPERM\nunshare-user: "
        "EPERM\nnarrow-keyctl: EPERM\nnarrow-socketcall: done\nnarrow-clone3: ENOSYS\n");
}
#endif

TEST_CASE(
    "S32: the session keyring of the user is left before anything runs, and no key's name can be "
    "seen") {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) {
    say_skipped("this kernel keeps no keys");
    return;
  }
  // A key that is seen by those alone who have this process's keyring.
  const std::string name = fmt::format("sluice-secret-{}", ::getpid());
  const long key =
      ::syscall(SYS_add_key, "user", name.c_str(), "payload", 7, KEY_SPEC_SESSION_KEYRING);
  REQUIRE(key > 0);
  constexpr unsigned kPossessor = 0x3f000000;
  REQUIRE(::syscall(SYS_keyctl, KEYCTL_SETPERM, key, kPossessor) == 0);
  REQUIRE(has(read_text("/proc/keys"), name));
  const std::string path = std::getenv("PATH");
  for (const unsigned uid : users()) {
    World world;
    // What bubblewrap itself sees, in whose place this is started.
    const std::string seen = world.directory / "seen/keys";
    const std::string wrapper = world.directory / "bin/bwrap";
    write_text(seen, "");
    write_text(wrapper, fmt::format("#!/bin/sh\ncat /proc/keys >{}\nexec {} \"$@\"\n", seen,
                                    find_bubblewrap()));
    REQUIRE(::chmod(wrapper.c_str(), 0755) == 0);
    ::setenv("PATH", (world.directory / "bin:" + path).c_str(), 1);
    const Outcome outcome = build(world, uid, {marked("keys", "cat /proc/keys")});
    ::setenv("PATH", path.c_str(), 1);
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(between(outcome.log, "keys") == "");
    CHECK(has(read_text(seen), "keyring"));
    CHECK_FALSE(has(read_text(seen), name));
  }
}

TEST_CASE("S33: control groups can't be reached, and a build sees none but its own") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(
        world, uid,
        {marked("groups",
                "cat /proc/self/cgroup | while read line; do case $line in *:/) ;; *) echo $line;; "
                "esac; done"),
         marked("mounts",
                "cat /proc/self/mountinfo | while read line; do case $line in *cgroup*) echo "
                "$line;; esac; done"),
         marked(
             "attack",
             "for type in cgroup2 cgroup; do if mount -t $type none /tmp; then echo mounted; fi; "
             "unshare -UrmC sh -c \"mount -t $type none /tmp && echo mounted; mkdir /tmp/left; ls "
             "/tmp\" || true; done 2>/dev/null")});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(between(outcome.log, "groups") == "");
    CHECK(between(outcome.log, "mounts") == "");
    CHECK(between(outcome.log, "attack") == "");
  }
}

TEST_CASE(
    "S34: what was logged stays, whatever a build does to the descriptors that it writes to") {
  for (const unsigned uid : users()) {
    World world;
    auto start = world.manual(
        {"echo first; " +
             marked("attack",
                    "probe log; : > /proc/self/fd/1; : > /proc/self/fd/2; : > /dev/stdout"),
         "echo last"});
    world.give_to(uid);
    const Outcome outcome = run(start, uid);
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(outcome.log.starts_with("Sluice "));
    CHECK(has(outcome.log, "\nfirst\n"));
    CHECK(has(outcome.log, "\nlast\n"));
    CHECK(between(outcome.log, "attack") == "log: refused\n");
    struct stat info {};
    REQUIRE(::stat(outcome.result.log_file.c_str(), &info) == 0);
    CHECK(info.st_size < 1 << 20);
  }
}

TEST_CASE("S34: all of a long output is there, in its order, when the build has ended") {
  World world;
  const Outcome outcome = build(world, ::geteuid(),
                                {"set +x; i=0; while test $i -lt 20000; do echo line $i of many; "
                                 "i=$((i + 1)); done; echo over"});
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  std::string expected;
  for (int i = 0; i < 20000; ++i) expected += fmt::format("line {} of many\n", i);
  CHECK(has(outcome.log, expected + "over\n"));
}

TEST_CASE("The store can't be reached from inside") {
  for (const unsigned uid : users()) {
    World world;
    const std::string cache = world.settings.cachedir;
    const Outcome outcome =
        build(world, uid,
              {"test ! -e " + cache, "test ! -e /tmp/../" + cache.substr(1),
               marked("mounts", "cat /proc/self/mountinfo"),
               "find / -xdev -inum 0 2>/dev/null; cat /proc/1/root/etc/hostname && exit 7; true"});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    check_store(world);
  }
}
