// What a build can't do: spec/sandbox.md section 9, SHALL by SHALL, from inside of real sandboxes,
// as root (when the test runs as root) and as an ordinary user.
#include <cstdlib>

#include <linux/keyctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "jobs/test_support.h"
#include "sandbox/sandbox.h"
#include "tests/support/skipped.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

// Runs `probe`; gives what it says of each name, as "NAME: ERROR\n" lines.
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
  // The key is seen by those alone who have this process's keyring.
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
    // The script is started in the place of bubblewrap, and shows what that sees.
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
    CHECK(store_damage(world) == "");
  }
}
