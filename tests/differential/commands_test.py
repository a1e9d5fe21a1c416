"""Commands in small projects against what BuildStream 2.8.1 said of them (../golden/commands). Head of commands.py."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import commands  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/commands")


class Commands(SluiceTest):
    def test_all(self):
        counts = {}
        for name in sorted(os.listdir(GOLDEN)):
            if not name.endswith(".txt"):
                continue

            def report(case, command, wrong, name=name):
                with self.subTest(file=name, case=case, command=command):
                    self.fail(wrong)

            counts[name] = commands.check(os.path.join(GOLDEN, name), os.path.join(self.directory, name), self.env, report)
        self.assertTrue(all(counts.values()), counts)
        self.assert_nothing_left()


main()
