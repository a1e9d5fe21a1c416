"""fault_test.py CLASS: what it is named after happens at random instants of a build (see faults.py): KillRunner, StopRunner, All.

$SLUICE_FAULT_SEEDS (3) seeds from $SLUICE_FAULT_FIRST (1) on; `scripts/fault` runs more of them."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import KINDS, Fault  # noqa: E402
from sluice_test import main  # noqa: E402

FIRST = int(os.environ.get("SLUICE_FAULT_FIRST", "1"))
SEEDS = int(os.environ.get("SLUICE_FAULT_SEEDS", "3"))


def one(how, process, seed):
    def test(self):
        story, wrong, hit = self.fault(how, process, seed)
        type(self).hits += hit
        print("\n%s%s" % (story, "".join("\nviolation: " + what for what in wrong)), flush=True)
        self.assertEqual(wrong, [], story)
    return test


def enough(self):
    """Fails where every instant came too late: nothing was tested then."""
    self.assertGreater(type(self).hits, 0)


def tests_of(how, process):
    tests = {"test_seed_%04d" % seed: one(how, process, seed) for seed in range(FIRST, FIRST + SEEDS)}
    name = how.capitalize() + (process.capitalize() if how != "all" else "")
    return type(name, (Fault,), {"hits": 0, "IN_MEMORY": how != "all", **tests, "test_was_hit": enough})


for kind in KINDS:
    made = tests_of(*kind)
    globals()[made.__name__] = made
del Fault, made  # give no tests themselves

main()
