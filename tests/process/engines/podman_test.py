"""compose/compose.yaml and compose/Containerfile, by Debian's podman and podman-compose, on a host of its own."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import debian_image
from engine_test_case import TIMEOUT, EngineTest
from hosts import why_not
from sluice_test import main
from workload import gate, manual

WHY_NOT = why_not() or debian_image.why_not()
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
COMPOSE = os.path.join(ROOT, "compose")


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Podman(EngineTest):
    def setUp(self):
        super().setUp()
        self.context = os.path.join(self.directory, "image")
        debian_image.installed(self.bin, self.context)
        podman = debian_image.Podman(self.directory)
        archive = os.path.join(self.directory, "sluice.tar")
        try:
            podman.build(os.path.join(COMPOSE, "Containerfile"), self.context, "localhost/sluice")
            podman("save", "--output", archive, "localhost/sluice")
        finally:
            podman.remove()
        # The host has no way out of its network: what it has no image of it can't get.
        host = self.start_hosts(1, visible=[archive])[0]
        host.run(["mount", "-t", "cgroup2", "-o", "ro", "cgroup2", "/sys/fs/cgroup"])
        host.write("/etc/containers/containers.conf", '[containers]\ncgroups = "disabled"\n[engine]\ncgroup_manager = "cgroupfs"\n'
                                                      'events_logger = "file"\n[network]\nnetwork_backend = "netavark"\n')
        host.write("/etc/containers/storage.conf", '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\n'
                                                   'graphroot = "/var/lib/containers/storage"\n')
        host.copy(COMPOSE, "/root/sluice/compose")
        host.run(["podman", "load", "--input", archive], timeout=TIMEOUT)
        self.host = host

    def compose(self, *arguments, check=True, timeout=TIMEOUT):
        return self.host.run(["podman-compose", "-f", "/root/sluice/compose/compose.yaml", *arguments],
                             env={"PROJECT": self.PROJECT, "RUNNERS": "2"}, check=check, timeout=timeout)

    def containers(self):
        """{name: whether it runs}"""
        shown = json.loads(self.host.run(["podman", "ps", "--all", "--format", "json"]).stdout or "[]")
        return {container["Names"][0]: container["State"] == "running" for container in shown}

    def logs(self, name):
        done = self.host.run(["podman", "logs", name], check=False)
        return done.stdout + done.stderr

    def in_container(self, name, *command, check=True):
        return self.host.run(["podman", "exec", name, *command], check=check, timeout=TIMEOUT)

    def runners_of_session(self):
        shown = self.in_container("compose_session_1", "sluice", "runner", "list", "--json", check=False)
        return json.loads(shown.stdout) if shown.returncode == 0 else []

    def runners_of_containers(self):
        return [runner for runner in self.runners_of_session() if runner["remote"]]

    def test_compose(self):
        self.copy_project({})
        self.compose("up", "--detach")
        self.addCleanup(lambda: self.host.run(["podman", "rm", "--all", "--force", "--time", "0"], check=False))
        self.assertEqual(set(self.containers()), {"compose_%s_1" % name for name in ("session", "cas", "runner", "renderer", "collector")} |
                         {"compose_runner_2"})

        self.wait_until(lambda: len(self.runners_of_containers()) == 2, "two runners", TIMEOUT)
        # A container that came or went may have changed the address of the network's bridge, behind which names are served.
        for name in self.containers():
            self.wait_until(lambda n=name: self.host.run(["podman", "exec", n, "timeout", "2", "getent", "ahosts", "session", "cas"], check=False)
                            .returncode == 0, "names in %s" % name, TIMEOUT)
        # A runner's container has the key that lets runners in, and no other.
        self.assertEqual(self.host.run(["podman", "exec", "compose_runner_1", "ls", "/join/runner"]).stdout, "runner.json\n")
        self.assertEqual(self.host.run(["podman", "exec", "compose_runner_1", "ls", "/join"]).stdout, "runner\n")
        # None of the containers may more than any container.
        inspected = json.loads(self.host.run(["podman", "inspect", *self.containers()]).stdout)
        self.assertEqual({one["HostConfig"]["Privileged"] for one in inspected}, {False})
        may = {one["Name"]: set(one["EffectiveCaps"] or []) for one in inspected}
        self.assertEqual(may.pop("compose_session_1"), {"CAP_SETFCAP", "CAP_DAC_OVERRIDE"})
        for name, capabilities in may.items():
            self.assertEqual(capabilities, {"CAP_SETFCAP"} if "runner" in name else set(), name)
        for name in self.containers():
            self.assertEqual(self.in_container(name, "ls", "-A", "/sys/firmware").stdout, "", name)

        # The session's own runner is there from the first build on. Then as many at once as all together can build: none is left out.
        first = self.begin_build("base.bst")
        self.assertEqual(first.wait(TIMEOUT), 0, first)
        self.wait_until(lambda: len(self.runners_of_session()) == 3, "the session's own runner")
        numbers = range(1, sum(runner["slots"] for runner in self.runners_of_session()) + 1)
        for n in numbers:
            self.host.write(self.PROJECT + "/elements/e%d.bst" % n, manual("e%d" % n, gate(n)))
        self.host.write(self.PROJECT + "/elements/all.bst", "kind: stack\ndepends:\n" + "".join("- e%d.bst\n" % n for n in numbers))
        build = self.begin_build("all.bst")
        for number in numbers:
            self.wait_until(lambda n=number: self.at_gate(n) or build.poll() is not None, "gate %d" % number, TIMEOUT)
            self.assertIsNone(build.poll(), build)
        for number in numbers:
            self.open_gate(number)
        self.assertEqual(build.wait(TIMEOUT), 0, build)
        for runner in self.runners_of_containers():
            self.assertGreaterEqual(runner["done"], 1, runner)

        # The renderer and the collector have seen it, from a container of their own.
        self.wait_until(lambda: "e1.bst" in self.logs("compose_renderer_1"), "the renderer's lines")
        records = self.wait_until(lambda: [json.loads(line) for line in self.logs("compose_collector_1").splitlines() if line.startswith("{")],
                                  "the collector's records")
        self.assertIn("e1.bst", json.dumps(records))
        # And the cache has what was built.
        self.wait_until(lambda: self.host.run(["podman", "exec", "compose_cas_1", "find", "/var/lib/sluice/cas/artifacts/refs/small/e1", "-type", "f"],
                                              check=False).stdout, "artifacts in the cache")

        # The session ends in order, and the runners with it.
        self.host.run(["podman", "stop", "--time", "60", "compose_session_1"], timeout=TIMEOUT)
        self.wait_until(lambda: not any(self.containers()["compose_runner_%d" % n] for n in (1, 2)), "the runners' end", TIMEOUT)
        for n in (1, 2):
            state = json.loads(self.host.run(["podman", "inspect", "compose_runner_%d" % n]).stdout)[0]["State"]
            self.assertEqual(state["ExitCode"], 0, self.logs("compose_runner_%d" % n))

    def begin_build(self, target):
        argv = self.host.argv(["podman-compose", "-f", "/root/sluice/compose/compose.yaml", "exec", "-T", "session", "build", target],
                              env={"PROJECT": self.PROJECT, "RUNNERS": "2"})
        return self.start(*argv[1:], program=argv[0])


if __name__ == "__main__":
    main()
