// What a build sees of its surroundings: spec/sandbox.md section 3, SHALL by SHALL, from inside of
// real sandboxes, as root (when the test runs as root) and as an ordinary user.
#include <cerrno>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "jobs/test_support.h"
#include "store/tree.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

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
    CHECK(store_damage(world) == "");
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
    CHECK(store_damage(world) == "");
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
    CHECK(store_damage(world) == "");
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
    CHECK_FALSE(has(between(outcome.log, "self"), program_invocation_short_name));
    CHECK(between(outcome.log, "writable") == "");
    CHECK(read_text("/proc/sys/kernel/core_pattern") == before);
  }
}

TEST_CASE("S6: the first process, which can see the host, is out of reach") {
  for (const unsigned uid : users()) {
    World world;
    // A capable user of a namespace below the sandbox's own can't either, where the kernel lets
    // there be one.
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
    // The descriptors are the three, and the one that ls has on the directory itself.
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
  // The log is looked at from where command lines are listed: its head tells of the element's
  // environment, as BuildStream's does.
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
  // With such a variable bubblewrap itself would run nothing.
  body.environment.emplace_back("LD_TRACE_LOADED_OBJECTS", "1");
  packed.body.bytes = wire::pack_body(body);
  start.job.element.bytes = wire::encode(packed);
  const Outcome outcome = run(start);
  INFO(outcome.log);
  // Inside, the shell's loader obeys; outside, bubblewrap's must not have seen it.
  CHECK(outcome.log.find("bwrap") == std::string::npos);
  CHECK(outcome.result.status == model::Outcome::kSuccess);
}
