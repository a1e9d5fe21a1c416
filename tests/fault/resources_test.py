"""What a machine may refuse: room for the cache, writing to the store, descriptors, the session's directories,
a clock that goes on. Each is a clear failure (or none at all), nothing is corrupt, nothing is left; when there is room again
the same command succeeds, and what it makes is what an undisturbed build makes.

Runs in a mount namespace of its own, in which it mounts small filesystems."""

import os
import shutil
import signal
import subprocess
import sys

if __name__ == "__main__" and not os.environ.get("SLUICE_TEST_NAMESPACE"):
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid() != 0:
        namespace = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
    if subprocess.run([*namespace, "true"], check=False).returncode != 0:
        sys.exit("no mount namespace: unshare is missing or refused")
    os.environ["SLUICE_TEST_NAMESPACE"] = "1"
    os.execvp(namespace[0], [*namespace, sys.executable, *sys.argv])

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
from faults import Fault  # noqa: E402
from record_log import records  # noqa: E402
from sluice_test import main  # noqa: E402
from workload import BASE, CONF, Gates, gate, manual, spin  # noqa: E402

PROJECT = {
    "project.conf": CONF,
    "elements/base.bst": BASE,
    "elements/data.bst": "kind: import\nsources:\n- kind: local\n  path: files/data\n",
    "elements/one.bst": manual("one", spin(1000)),
    "elements/two.bst": manual("two", spin(1000), depends=["one.bst", "data.bst"]),
    "elements/image.bst": "kind: compose\nbuild-depends: [two.bst, data.bst]\n",
    "elements/gate.bst": manual("gate", gate(1), depends=["one.bst"]),
    "elements/last.bst": "kind: import\nsources:\n- kind: local\n  path: files/last\n",
    "files/last/usr/share/last": "last\n",
    **{"files/data/usr/share/data/%d" % n: "%d\n" % n * 1000 * n for n in range(8)},
}


class Resources(Gates, Fault):
    IN_MEMORY = False
    ELEMENTS = 5
    FILES = PROJECT

    def mount(self, folder, size):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0700" % size, "tmpfs", folder], check=True)

    def remount(self, folder, options):
        subprocess.run(["mount", "-o", "remount," + options, folder], check=True)

    def _remove(self):
        for folder in self.mounted:
            subprocess.run(["umount", "-l", folder], check=False, stderr=subprocess.DEVNULL)
        super()._remove()

    def mounts(self):
        return [mount for mount in super().mounts() if mount not in self.mounted]

    def setUp(self):
        self.mounted = set()
        super().setUp()

    def ask(self, **options):
        return self.sluice("--builders", 2, "--no-interactive", "build", "image.bst", cwd=self.at, status=None, **options)

    def fails(self, result, *words):
        self.assertNotEqual(result.code, 0, result)
        self.assertGreater(result.code, 0, "killed by a signal")
        self.assertTrue(any(word in result.stderr for word in words), "none of %s is said" % (words,))
        self.assert_nothing_left()

    def whole(self, expected, again=()):
        """The command succeeds once the machine lets it; nothing is corrupt, and no process is left."""
        done = self.sluice("--builders", 2, "--no-interactive", "build", *again, "image.bst", cwd=self.at)
        wrong = []
        self._forget("gate")
        self.check_result(expected, wrong)
        self.sluice("build", "last.bst", cwd=self.at)
        self.wait_for_the_end(wrong)
        self.check_rest(wrong)
        self.assertEqual(wrong, [])
        return done

    def used(self, folder):
        return int(subprocess.run(["du", "-s", "--block-size=1", folder], check=True, stdout=subprocess.PIPE).stdout.split()[0])

    # ---- No room

    def test_full_cache(self):
        faults.Fault.undisturbed = None  # how much it took is looked at
        expected, _, _ = self.measure()
        size = self.used(self.env["XDG_CACHE_HOME"])
        failures = 0
        for part in (0.02, 0.2, 0.4, 0.6, 0.8, 0.95):
            self.use("c%d" % (100 * part))
            self.mounted.add(self.env["XDG_CACHE_HOME"])
            self.mount(self.env["XDG_CACHE_HOME"], int(size * part))
            failed = self.ask()
            if failed.code != 0:
                failures += 1
                self.fails(failed, "No space left on device", "no space")
            self.remount(self.env["XDG_CACHE_HOME"], "size=%d" % (4 * size))
            self.whole(expected, ["--retry-failed"])
        self.assertGreaterEqual(failures, 3)

    def test_full_state(self):
        """P10: the session fails, and says why; the next one has room."""
        faults.Fault.undisturbed = None  # how much it took is looked at
        expected, _, _ = self.measure()
        size = self.used(self.env["XDG_STATE_HOME"])
        failures = 0
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            self.use("s%d" % (100 * part))
            self.mounted.add(self.env["XDG_STATE_HOME"])
            self.mount(self.env["XDG_STATE_HOME"], max(4096, int(size * part)))
            failed = self.ask(timeout=240)
            if failed.code != 0:
                failures += 1
                self.fails(failed, "No space left on device", "no room left")
            self.remount(self.env["XDG_STATE_HOME"], "size=%d" % (16 * size))
            self.whole(expected)
        self.assertGreaterEqual(failures, 2)

    def test_read_only_store(self):
        expected, _, _ = self.measure()
        self.use("r")
        self.mounted.add(self.env["XDG_CACHE_HOME"])
        self.mount(self.env["XDG_CACHE_HOME"], 256 << 20)
        self.sluice("build", "one.bst", cwd=self.at)
        self.remount(self.env["XDG_CACHE_HOME"], "ro")
        self.fails(self.ask(), "Read-only file system")
        # Local sources enter the store while keys are made: without one that can be written there are no keys.
        self.fails(self.sluice("show", "one.bst", cwd=self.at, status=None), "Read-only file system")
        self.remount(self.env["XDG_CACHE_HOME"], "rw")
        self.whole(expected)

    # ---- No descriptors

    def test_descriptors(self):
        expected, _, _ = self.measure()
        self.use("d")
        failures = 0
        for most in (8, 12, 16, 20, 24, 32, 48, 64):
            result = self.sluice("-c", 'ulimit -n %d; exec "$0" --builders 2 --no-interactive build --retry-failed image.bst' % most,
                                 self.program("sluice"), program="/bin/sh", cwd=self.at, status=None, timeout=240)
            self.assertGreaterEqual(result.code, 0, "killed by a signal")
            if result.code != 0:
                failures += 1
                self.assertTrue(result.stderr.strip(), "it says nothing")
            self.assert_nothing_left()
        self.assertGreaterEqual(failures, 2)
        self.whole(expected, ["--retry-failed"])

    # ---- Directories that vanish

    def vanishes(self, folder):
        expected, _, _ = self.measure()
        self.use("v")
        build = self.start("--builders", 2, "--no-interactive", "build", "gate.bst", cwd=self.at)
        self.wait_at_gate(1)
        shutil.rmtree(folder(self))
        for pid in self.at_gate(1):
            os.kill(pid, signal.SIGUSR1)
        code = build.wait()
        self.assertGreaterEqual(code, 0)
        self.assert_nothing_left()
        self.whole(expected)
        return build

    def test_session_directory_vanishes(self):
        self.vanishes(lambda test: test.session_directory())

    def test_runtime_directory_vanishes(self):
        self.vanishes(lambda test: test.runtime_directory())

    # ---- The disk

    def test_disk_that_takes_its_time(self):
        """P17: what was built is to survive loss of power, and nobody waits for that: not the command, not the next one."""
        self.use("d")
        slow = self.write("slow", "")
        self.env["LD_PRELOAD"] = os.path.join(self.bin, "libslow_disk.so")
        self.env["SLOW_DISK"] = slow
        self.sluice("--no-interactive", "build", "one.bst", cwd=self.at)
        self.wait_until(lambda: os.path.exists(slow + ".begun"), "the disk to be asked")
        self.assert_nothing_left()
        (session,) = self.sessions()
        self.assertRegex(self.sluice("session", "list", cwd=self.at).stdout, session + " +ended")
        self.assertFalse(os.path.exists(slow + ".done"))
        # A session that built nothing asks nothing of the disk.
        os.unlink(slow + ".begun")
        self.sluice("--no-interactive", "build", "one.bst", cwd=self.at)
        self.assertFalse(os.path.exists(slow + ".begun"))
        os.unlink(slow)
        self.wait_until(lambda: os.path.exists(slow + ".done"), "all to be written")
        self.wait_until(lambda: os.path.exists(os.path.join(self.cachedir, "sluice", "synced")), "a note of it")

    # ---- The clock

    def test_clock_jumps(self):
        expected, _, _ = self.measure()
        self.use("j")
        shift = self.write("shift", "0")
        library = os.path.join(self.bin, "libclock_shift.so")
        self.env["LD_PRELOAD"] = library
        self.env["CLOCK_SHIFT"] = shift

        def jump(hours):
            with open(shift, "w", encoding="utf-8") as file:
                file.write(str(int(hours * 3600)))

        for hours in (5, -20, 11):
            build = self.start("--builders", 2, "--no-interactive", "build", "gate.bst", cwd=self.at)
            self.wait_at_gate(1)
            jump(hours)
            # What is started again goes on, by the clock that has jumped.
            for program in ("sluice-broker", "sluice-scheduler", "sluice-loader"):
                before = self.pids(program)
                self.kill(program)
                self.wait_until(lambda: self.pids(program) not in ([], before), "another " + program)
            self.open_gate(1)
            self.assertEqual(build.wait(), 0)
            log = records(self.session_directory())
            starts = [r["job"]["attempt"] for r in log if r["type"] == "job.started" and r["element"]["name"] == "gate.bst"]
            self.assertEqual(starts, [1])
            self.assert_nothing_left()
            self._forget("gate")
        self.assertEqual(self.whole(expected).code, 0)

    def test_clock_goes_back_before_resume(self):
        self.use("b")
        shift = self.write("shift", "0")
        self.env["LD_PRELOAD"] = os.path.join(self.bin, "libclock_shift.so")
        self.env["CLOCK_SHIFT"] = shift
        build = self.start("--builders", 2, "--no-interactive", "build", "gate.bst", cwd=self.at)
        self.wait_at_gate(1)
        self.kill_everything()
        build.wait()
        self.wait_until(lambda: not self.processes(), "the end of all processes", timeout=30)
        with open(shift, "w", encoding="utf-8") as file:
            file.write(str(-7 * 24 * 3600))
        resumed = self.start("session", "resume", self.sessions()[-1], cwd=self.at)
        self.open_gate(1)
        self.assertEqual(resumed.wait(), 0)
        self.assert_nothing_left()

    def _forget(self, element):
        shutil.rmtree(os.path.join(self.cachedir, "artifacts", "refs", "small", element), ignore_errors=True)


del Fault
main()
