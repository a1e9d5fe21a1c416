"""scripts/fault: as many seeds as are wanted, several side by side.

Every run is a process of its own (the subreaper of all that it starts) with a directory of its own, so that runs know
nothing of each other but that the machine is busy. Most of a run's time is waiting, for a process that is stopped for
several leases; so more runs fit than there are processors."""

import argparse
import ctypes
import json
import os
import selectors
import shutil
import statistics
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import KINDS, VICTIMS, Fault  # noqa: E402
from sluice_test import PR_SET_CHILD_SUBREAPER  # noqa: E402


class One(Fault):
    """Outside of unittest: whatever goes wrong is a violation."""

    def runTest(self):
        raise NotImplementedError

    def clean(self, keep=False):
        """All that is left; with keep the directory stays. Its name if it did."""
        wanted = os.environ.pop("SLUICE_TEST_KEEP", None)
        try:
            if wanted and keep:
                for background in self._backgrounds:
                    background.close()
                self._kill_all()
                return self.directory
            self.tearDown()
            shutil.rmtree(self.directory, ignore_errors=True)
            return None
        finally:
            if wanted is not None:
                os.environ["SLUICE_TEST_KEEP"] = wanted


def measure():
    test = One()
    test.setUp()
    try:
        return test.measure()
    finally:
        test.clean()


def run(how, process, seed):
    """{lines, hit, wrong}: what is to be printed, whether somebody was hit, how much is wrong."""
    test = One()
    test.setUp()
    hit = False
    try:
        story, wrong, hit = test.fault(how, process, seed)
    except Exception as error:  # an assertion about the test's own steps included
        story = "%s of %s seed=%d" % (how, process, seed)
        wrong = ["%s: %s" % (type(error).__name__, error)]
    kept = test.clean(keep=bool(wrong))
    lines = [story, *("violation: " + what for what in wrong)] + (["kept: " + kept] if kept else [])
    return {"lines": lines, "hit": hit, "wrong": len(wrong)}


class Forked:
    """function(*arguments) in a process of its own, which gives its result as JSON."""

    def __init__(self, function, *arguments):
        self.what = " ".join(str(a) for a in arguments) or "the undisturbed build"
        self.fd, out = os.pipe()
        self.pid = os.fork()
        self._data = bytearray()
        if self.pid == 0:
            status = 1
            try:
                os.close(self.fd)
                subreaper()
                with open(out, "w", encoding="utf-8") as file:
                    json.dump(function(*arguments), file)
                status = 0
            except BaseException:  # whatever it is, it must not go on as the parent
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(out)

    def read(self):
        """False when that was all."""
        data = os.read(self.fd, 65536)
        self._data += data
        return bool(data)

    def end(self):
        """What it gave; None if it failed."""
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        return json.loads(self._data) if status == 0 else None


def subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER): %s" % os.strerror(ctypes.get_errno()))


def side_by_side(calls, most):
    """(name, result) of each of the calls as it ends."""
    calls = iter(calls)
    running = selectors.DefaultSelector()
    count = 0
    more = True
    while more or count:
        while more and count < most:
            call = next(calls, None)
            if call is None:
                more = False
                break
            forked = Forked(*call)
            running.register(forked.fd, selectors.EVENT_READ, forked)
            count += 1
        if not count:
            break
        for key, _ in running.select():
            if not key.data.read():
                running.unregister(key.fd)
                count -= 1
                yield key.data.what, key.data.end()


def main():
    parser = argparse.ArgumentParser(prog="scripts/fault", description="Kills and stops processes of builds at random instants.")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="for each kind of fault and process (%(default)s)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them (%(default)s)")
    parser.add_argument("--only", choices=list(VICTIMS), metavar="PROCESS", help="one of " + ", ".join(VICTIMS))
    parser.add_argument("--how", choices=("kill", "stop", "all"), help="kill or stop one process, or kill all of them")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="so many runs side by side (%(default)s)")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if arguments.at_once < 1:
        parser.error("--at-once must be at least 1")
    began = time.monotonic()
    # How long a build takes decides at which instants it is disturbed: half as many at once, since half of the runs wait.
    beside = (arguments.at_once + 1) // 2
    measured = [result for _, result in side_by_side([(measure,)] * beside, beside)]
    if None in measured:
        sys.exit("fault: the undisturbed build failed")
    artifacts, _, count = measured[0]
    artifacts = {ref: tuple(parts) for ref, parts in artifacts.items()}
    Fault.undisturbed = (artifacts, statistics.median(seconds for _, seconds, _ in measured), count)
    kinds = [(how, process) for how, process in KINDS
             if arguments.only in (None, process) and arguments.how in (None, how)]
    if not kinds:
        parser.error("there is no %s of %s" % (arguments.how, arguments.only))
    calls = [(run, *kind, seed) for seed in range(arguments.first, arguments.first + arguments.seeds) for kind in kinds]
    runs = hits = violations = 0
    for name, result in side_by_side(calls, arguments.at_once):
        result = result or {"lines": [name, "violation: the test itself failed"], "hit": False, "wrong": 1}
        print("\n".join(result["lines"]), flush=True)
        runs += 1
        hits += result["hit"]
        violations += result["wrong"]
    print("somebody was hit in %d runs, the others had ended before; %.0f s" % (hits, time.monotonic() - began))
    print("fault runs=%d violations=%d" % (runs, violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
