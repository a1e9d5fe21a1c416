"""kill_test.py CLASS: the process of that name is killed at random instants of a build (see faults.py).

$SLUICE_FAULT_SEEDS (5) seeds from $SLUICE_FAULT_FIRST (1) on; `scripts/fault` runs more of them."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import VICTIMS, Fault  # noqa: E402
from sluice_test import main  # noqa: E402

FIRST = int(os.environ.get("SLUICE_FAULT_FIRST", "1"))
SEEDS = int(os.environ.get("SLUICE_FAULT_SEEDS", "5"))


def one(process, seed):
    def test(self):
        story, wrong, hit = self.fault(process, seed)
        type(self).hits += hit
        print("\n%s%s" % (story, "".join("\nviolation: " + what for what in wrong)), flush=True)
        self.assertEqual(wrong, [], story)
    return test


def enough(self):
    """When every instant came too late, nothing was tested."""
    self.assertGreater(type(self).hits, 0)


def tests_of(process):
    tests = {"test_seed_%04d" % seed: one(process, seed) for seed in range(FIRST, FIRST + SEEDS)}
    return type(process.capitalize(), (Fault,), {"hits": 0, **tests, "test_was_killed": enough})


for process in VICTIMS:
    globals()[process.capitalize()] = tests_of(process)
del Fault  # gives no tests itself

main()
