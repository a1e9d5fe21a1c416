"""Sources of the kinds go_module, pypi and cpan against what BuildStream 2.8.1 makes of them (../golden/packages.json). Head of package_answers.py."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import package_answers  # noqa: E402
from git_answers import shown_difference  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402


class Packages(SluiceTest):
    def test_all(self):
        wrong, count = package_answers.check(self.bin, os.path.join(self.directory, "packages"), self.env)
        for name, part, expected, found in wrong:
            with self.subTest(element=name, part=part):
                self.fail("\n".join(shown_difference(expected, found)))
        print("packages compared=%d differ=%d" % (count, len(wrong)))
        self.assertGreater(count, 0)
        self.assert_nothing_left()


main()
