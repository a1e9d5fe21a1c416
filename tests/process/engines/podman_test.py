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

    def in_session(self, *command, check=True):
        return self.host.run(["podman", "exec", "compose_session_1", *command], check=check, timeout=TIMEOUT)

    def test_compose(self):
        # More at once than the session's own container builds: it has two builders.
        numbers = (1, 2, 3)
        self.copy_project({**{"e%d.bst" % n: manual("e%d" % n, gate(n)) for n in numbers},
                           "all.bst": "kind: stack\ndepends:\n" + "".join("- e%d.bst\n" % n for n in numbers)})
        self.compose("up", "--detach")
        self.addCleanup(lambda: self.host.run(["podman", "rm", "--all", "--force", "--time", "0"], check=False))
        self.assertEqual(set(self.containers()), {"compose_%s_1" % name for name in ("session", "cas", "runner", "renderer", "collector")} |
                         {"compose_runner_2"})

        def runners():
            shown = self.in_session("sluice", "runner", "list", "--json", check=False)
            return [one for one in json.loads(shown.stdout) if one["remote"]] if shown.returncode == 0 else []

        self.wait_until(lambda: len(runners()) == 2, "two runners", TIMEOUT)
        # A runner's container has the key that lets runners in, and no other.
        self.assertEqual(self.host.run(["podman", "exec", "compose_runner_1", "ls", "/join/runner"]).stdout, "runner.json\n")
        self.assertEqual(self.host.run(["podman", "exec", "compose_runner_1", "ls", "/join"]).stdout, "runner\n")
        # None of the containers may more than any container.
        inspected = json.loads(self.host.run(["podman", "inspect", *self.containers()]).stdout)
        self.assertEqual({one["HostConfig"]["Privileged"] for one in inspected}, {False})

        build = self.begin_build()
        for number in numbers:
            self.wait_until(lambda n=number: self.at_gate(n) or build.poll() is not None, "gate %d" % number, TIMEOUT)
            self.assertIsNone(build.poll(), build)
        for number in numbers:
            self.open_gate(number)
        self.assertEqual(build.wait(TIMEOUT), 0, build)
        self.assertGreaterEqual(sum(runner["done"] for runner in runners()), 1)

        # The renderer and the collector have seen it, from a container of their own.
        self.wait_until(lambda: "e1.bst" in self.logs("compose_renderer_1"), "the renderer's lines")
        records = self.wait_until(lambda: [json.loads(line) for line in self.logs("compose_collector_1").splitlines() if line.startswith("{")],
                                  "the collector's records")
        self.assertIn("e1.bst", json.dumps(records))
        # And the cache has what was built.
        self.wait_until(lambda: self.host.run(["podman", "exec", "compose_cas_1", "find", "/var/lib/sluice/cache/artifacts", "-name", "*", "-type", "f"],
                                              check=False).stdout, "artifacts in the cache")

        # The session ends in order, and the runners with it.
        self.host.run(["podman", "stop", "--time", "60", "compose_session_1"], timeout=TIMEOUT)
        self.wait_until(lambda: not any(self.containers()["compose_runner_%d" % n] for n in (1, 2)), "the runners' end", TIMEOUT)
        for n in (1, 2):
            state = json.loads(self.host.run(["podman", "inspect", "compose_runner_%d" % n]).stdout)[0]["State"]
            self.assertEqual(state["ExitCode"], 0, self.logs("compose_runner_%d" % n))

    def begin_build(self):
        argv = self.host.argv(["podman-compose", "-f", "/root/sluice/compose/compose.yaml", "exec", "-T", "session", "build", "all.bst"],
                              env={"PROJECT": self.PROJECT, "RUNNERS": "2"})
        return self.start(*argv[1:], program=argv[0])


if __name__ == "__main__":
    main()
