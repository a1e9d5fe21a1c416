"""Commands in small projects against what BuildStream 2.8.1 said of them (../golden/commands). Head of commands.py."""

import concurrent.futures
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import commands  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/commands")


class Commands(SluiceTest):
    def check(self, name):
        """(how many commands a file has, [what differs]). Each file has projects and a cache of its own."""
        wrong = []
        return commands.check(os.path.join(GOLDEN, name), os.path.join(self.directory, name), self.env, lambda *one: wrong.append(one)), wrong

    def test_all(self):
        names = sorted(name for name in os.listdir(GOLDEN) if name.endswith(".txt"))
        # Two files at a time: a command waits for half of its time.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = dict(zip(names, pool.map(self.check, names)))
        for name, (_, wrong) in results.items():
            for case, command, what in wrong:
                with self.subTest(file=name, case=case, command=command):
                    self.fail(what)
        counts = {name: count for name, (count, _) in results.items()}
        self.assertTrue(counts and all(counts.values()), counts)
        self.assert_nothing_left()


main()
