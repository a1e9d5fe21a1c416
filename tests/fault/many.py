"""scripts/fault: as many seeds as are wanted, one after the other."""

import argparse
import ctypes
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import KINDS, VICTIMS, Fault  # noqa: E402
from sluice_test import PR_SET_CHILD_SUBREAPER  # noqa: E402


class One(Fault):
    """Outside of unittest: whatever goes wrong is a violation."""

    def runTest(self):
        raise NotImplementedError


def run(how, process, seed):
    test = One()
    test.setUp()
    wrong = []
    hit = False
    try:
        story, wrong, hit = test.fault(how, process, seed)
    except Exception as error:  # an assertion about the test's own steps included
        story = "%s of %s seed=%d" % (how, process, seed)
        wrong = ["%s: %s" % (type(error).__name__, error)]
    print(story, flush=True)
    for what in wrong:
        print("violation: " + what, flush=True)
    if wrong and os.environ.get("SLUICE_TEST_KEEP"):
        kept = os.environ.pop("SLUICE_TEST_KEEP")
        print("kept: " + test.directory, flush=True)
        for background in test._backgrounds:
            background.close()
        test._kill_all()
        os.environ["SLUICE_TEST_KEEP"] = kept
    else:
        kept = os.environ.pop("SLUICE_TEST_KEEP", None)
        test.tearDown()
        if kept is not None:
            os.environ["SLUICE_TEST_KEEP"] = kept
        shutil.rmtree(test.directory, ignore_errors=True)
    return hit, len(wrong)


def main():
    parser = argparse.ArgumentParser(prog="scripts/fault", description="Kills and stops processes of builds at random instants.")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="for each kind of fault and process (%(default)s)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them (%(default)s)")
    parser.add_argument("--only", choices=list(VICTIMS), metavar="PROCESS", help="one of " + ", ".join(VICTIMS))
    parser.add_argument("--how", choices=("kill", "stop", "all"), help="kill or stop one process, or kill all of them")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER): %s" % os.strerror(ctypes.get_errno()))
    began = time.monotonic()
    runs = hits = violations = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for how, process in KINDS:
            if arguments.only not in (None, process) or arguments.how not in (None, how):
                continue
            hit, wrong = run(how, process, seed)
            runs += 1
            hits += hit
            violations += wrong
    print("somebody was hit in %d runs, the others had ended before; %.0f s" % (hits, time.monotonic() - began))
    print("fault runs=%d violations=%d" % (runs, violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
